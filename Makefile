# The door: each target installs what it misses (Debian 12), configures, builds and runs. `make help` lists them.

RANKS  ?=
RANK   ?= 0
ADDR   ?= 127.0.0.1
PORT   ?=
ARGS   ?=
JOBS   ?= $(shell nproc)
BUILD  ?= build
SECONDS_EACH ?= 60
SEEDS  ?= 10000

# Ninja's own jobs are limited too: CMake hands this on.
export CMAKE_BUILD_PARALLEL_LEVEL := $(JOBS)

INSTALL   := cmake/install_dependencies.sh
BIN       := $(BUILD)/bin
# Which demo run-multi starts; of Seastar's many processes on one machine each has one shard and a little memory.
DRIVER            ?= asio
DEMO_asio         := $(BIN)/bootstrap_demo
DEMO_seastar      := $(BIN)/seastar_demo
DEMO_ARGS_seastar := --smp 1 --overprovisioned --memory 128M
# How many ranks a target starts when RANKS is not given.
run: RANKS := $(or $(RANKS),1)
run-multi run-terminals: RANKS := $(or $(RANKS),8)
# A job of one meets nobody, and a terminal's script finds a port itself. By hand all must know the same.
run: PORT := $(or $(PORT),$(if $(filter 1,$(RANKS)),0,4242))
run-terminals: PORT := $(or $(PORT),0)

.PHONY: build run run-multi run-terminals test bench plot format check asan tsan fuzz swarm clean help dependencies

build: $(BUILD)/cmake_install.cmake      ## the library, the tool and the examples (the default)
	@cmake --build $(BUILD) --target products

run: build                              ## one node; RANK, RANKS, ADDR, PORT (4242); a job of one by default
	@$(BIN)/bootstrap_demo --rank $(RANK) --ranks $(RANKS) --address $(ADDR) --port $(PORT) $(ARGS)

run-multi: build                        ## the demo as RANKS (8) processes on this machine; DRIVER=asio or seastar
	@test -x "$(DEMO_$(DRIVER))" || { echo "DRIVER=$(DRIVER) is not here: asio always is, seastar where Seastar was found (docs/seastar.md)" >&2; exit 1; }
	@$(BIN)/banyan run -n $(RANKS) -- $(DEMO_$(DRIVER)) $(DEMO_ARGS_$(DRIVER)) $(ARGS)

run-terminals: build                    ## the same, one tmux pane for each rank
	@$(INSTALL) terminals
	@cmake/run_in_terminals.sh $(BIN)/bootstrap_demo $(RANKS) $(ADDR) $(PORT)

test:                                   ## build everything and run every test
	@$(INSTALL) build test
	@grep -qs '^BANYAN_TESTS:BOOL=ON' $(BUILD)/CMakeCache.txt || cmake --preset test -B $(BUILD)
	@cmake --build $(BUILD)
	@ctest --test-dir $(BUILD) --parallel $(JOBS) --output-on-failure $(ARGS)

bench: $(BUILD)/cmake_install.cmake      ## build the benchmarks into build/bin
	@$(INSTALL) build bench
	@cmake --build $(BUILD) --target bench
	@cmake --build $(BUILD) --target bench_peers || echo "some peers could not be built; the benchmark leaves them out" >&2

plot:                                   ## simulated time against ranks, as a figure (see Makefile.benchmark)
	@$(MAKE) -f Makefile.benchmark simulate-plot

asan tsan:                              ## every test under AddressSanitizer+UBSan, ThreadSanitizer
	@$(INSTALL) build test
	@test -f build-$@/cmake_install.cmake || cmake --preset $@
	@cmake --build build-$@
	@ctest --test-dir build-$@ --parallel $(JOBS) --output-on-failure $(ARGS)

fuzz:                                   ## each target of tests/fuzz for SECONDS_EACH (60) seconds
	@$(INSTALL) build fuzz
	@test -f build-fuzz/cmake_install.cmake || cmake --preset fuzz
	@cmake --build build-fuzz
	@cmake/run_fuzzers.sh build-fuzz $(SECONDS_EACH)

swarm:                                  ## random faults in SEEDS (10000) random simulated jobs
	@$(INSTALL) build test
	@grep -qs '^BANYAN_TESTS:BOOL=ON' $(BUILD)/CMakeCache.txt || cmake --preset test -B $(BUILD)
	@cmake --build $(BUILD) --target swarm
	@$(BUILD)/tests/swarm $(SEEDS)

format:                                 ## clang-format everything in place
	@$(INSTALL) check
	@cmake/check_style.sh format

check:                                  ## formatting and clang-tidy; ALL=1 for all files, else what differs from main
	@$(INSTALL) build test check
	@test -f build-tidy/cmake_install.cmake || cmake --preset tidy >/dev/null
	@cmake/check_style.sh check $(if $(ALL),all,changed)

clean:                                  ## remove all build folders
	rm -rf build build-asan build-tsan build-fuzz build-tidy build-seastar build-seastar-asan

help:                                   ## this list
	@sed -n 's/^\([a-z -]*\):[^#]*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 28

dependencies:
	@$(INSTALL) build

# The last file that configuring writes. Done once; afterwards the build looks itself whether it must be repeated.
$(BUILD)/cmake_install.cmake: | dependencies
	@cmake --preset default -B $(BUILD)
