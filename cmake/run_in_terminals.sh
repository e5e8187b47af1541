#!/bin/sh
# One tmux pane for each rank of a job, each started as one would by hand.
# usage: run_in_terminals.sh PROGRAM RANKS ADDRESS PORT     (port 0: one that is free)
set -eu
program=$1 ranks=$2 address=$3 port=$4
[ "$ranks" -le 32 ] || { echo "32 panes are the most that can be read; try make run-multi RANKS=$ranks" >&2; exit 1; }
# A free one outside the range from which the kernel gives ports to others' connections.
[ "$port" != 0 ] || port=$(( 20000 + $$ % 10000 ))
session=banyan-$$
# A secret of this job alone, as `banyan run` makes one. In a file: no command line may show it, and a tmux server that
# runs already has an environment of its own.
secret=$(mktemp)
od -An -tx1 -N32 /dev/urandom | tr -d ' \n' > "$secret"

# The pane stays open when its rank has ended, so that the last lines can be read.
pane() {
  start="env -u BANYAN_SECRET BANYAN_SECRET_FILE=$secret $program --rank $1 --ranks $ranks --address $address --port $port"
  [ "$1" = 0 ] && forget="rm -f $secret" || forget=:
  echo "$start; code=\$?; echo; echo \"rank $1 ended with \$code; Enter closes\"; read _; $forget"
}
tmux new-session -d -s "$session" -x 220 -y 60 "$(pane 0)"
rank=1
while [ "$rank" -lt "$ranks" ]; do
  tmux split-window -t "$session" "$(pane "$rank")"
  # Re-tiled each time: tmux refuses to split a pane that has become too small.
  tmux select-layout -t "$session" tiled >/dev/null
  rank=$((rank + 1))
done
if [ -n "${TMUX:-}" ]; then tmux switch-client -t "$session"
elif [ -t 1 ]; then tmux attach -t "$session"
else echo "no terminal here; look at it with: tmux attach -t $session"; fi
