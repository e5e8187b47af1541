#!/bin/sh
# One tmux pane for each rank of a job, each started as one would by hand.
# usage: run_in_terminals.sh PROGRAM RANKS ADDRESS PORT     (port 0: one that is free)
set -eu
program=$1 ranks=$2 address=$3 port=$4
[ "$ranks" -le 32 ] || { echo "32 panes are the most that can be read; try make run-multi RANKS=$ranks" >&2; exit 1; }
# A free one outside the range from which the kernel gives ports to others' connections.
[ "$port" != 0 ] || port=$(( 20000 + $$ % 10000 ))
session=banyan-$$

# The pane stays open when its rank has ended, so that the last lines can be read.
pane() {
  echo "$program --rank $1 --ranks $ranks --address $address --port $port; echo; echo \"rank $1 ended with \$?; Enter closes\"; read _"
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
