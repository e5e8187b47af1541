#include "implementations.hh"

#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <cstdio>
#include <filesystem>

#include "banyan_implementation.hh"
#include "baselines/baselines.hh"
#include "peers/peer.hh"

namespace banyan::bench {
namespace {

namespace fs = std::filesystem;

constexpr const char* kRemedy = "not built here: make -f Makefile.benchmark peers (docs/benchmarks.md)";

// Peers of which each process can have a job again and again: modules, loaded into the benchmark.
constexpr std::array kModules{"gloo", "tcp-store", "redis"};

struct Launched {
  const char* name;
  const char* what;
  std::vector<std::string> launcher;  // -n and the number of ranks follow
};

fs::path own_folder() { return fs::read_symlink("/proc/self/exe").parent_path(); }
fs::path folder_of_peers() { return own_folder() / "peers"; }

std::vector<Launched> launched_peers() {
  // Both would otherwise refuse more ranks than cores; Open MPI also a root user, and its ranks would spin.
  const std::vector<std::string> open_mpi{"mpirun.openmpi", "--allow-run-as-root", "--oversubscribe",
                                          "--mca",          "mpi_yield_when_idle", "1"};
  const std::vector<std::string> banyan{(own_folder() / "banyan").string(), "run", "--quiet", "--no-prefix"};
  return {{"banyan-seastar", "Banyan on Seastar, through its rendezvous, under banyan run", banyan},
          {"open-mpi", "Open MPI: MPI_Init and MPI_Allgather, under mpirun", open_mpi},
          {"mpich", "MPICH: MPI_Init and MPI_Allgather, under mpiexec", {"mpirun.mpich"}},
          {"pmix", "PMIx under mpirun: init, put, commit, a fence that collects, and a get for each rank", open_mpi},
          {"mscclpp", "mscclpp's TcpBootstrap: its id through MPI_Bcast, initialize, allGather", open_mpi},
          {"nccl", "NCCL: its id through MPI_Bcast, ncclCommInitRank; all of its start, not the bootstrap alone",
           open_mpi}};
}

class LaunchedPeer : public Implementation {
 public:
  LaunchedPeer(Launched peer, std::string program) : peer_(std::move(peer)), program_(std::move(program)) {}
  std::string name() const override { return peer_.name; }
  std::string what() const override { return peer_.what; }
  std::string version() const override {
    std::string version;
    if (std::FILE* const output = ::popen((program_ + " --version").c_str(), "re")) {
      std::array<char, 200> line{};
      if (std::fgets(line.data(), line.size(), output) != nullptr) version = line.data();
      ::pclose(output);
    }
    while (!version.empty() && version.back() == '\n') version.pop_back();
    return version;
  }
  Listens listens() const override { return Listens::nobody; }
  bool crosses_hosts() const override { return false; }
  std::unique_ptr<Job> join(const Place&) const override { throw NotOffered(); }
  std::vector<std::string> launcher(int ranks) const override {
    std::vector<std::string> words = peer_.launcher;
    words.insert(words.end(), {"-n", std::to_string(ranks)});
    return words;
  }
  std::string rank_program() const override { return program_; }

 private:
  Launched peer_;
  std::string program_;
};

std::unique_ptr<Implementation> load(const fs::path& file) {
  // For good: its code runs until the process ends.
  void* const library = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) throw std::runtime_error(::dlerror());
  const auto make = reinterpret_cast<MakePeer*>(::dlsym(library, kMakePeer));
  if (make == nullptr) throw std::runtime_error(::dlerror());
  return make();
}

}  // namespace

Implementations implementations(const std::vector<std::string>& wanted, std::vector<Missing>& missing) {
  const auto is_wanted = [&](const std::string& name) {
    return wanted.empty() || std::ranges::count(wanted, name) > 0;
  };
  using Stagger = StarRing::Stagger;
  Implementations all;
  all.push_back(floor(false));
  all.push_back(floor(true));
  all.push_back(banyan_implementation(false));
  all.push_back(banyan_implementation(true));
  all.push_back(star_ring(
      {"star-ring", "root, connection back, one-way ring, rank r waits r ms above 128 ranks (the scheme of mscclpp)",
       Stagger::per_rank_ms, false, false}));
  all.push_back(star_ring({"star-ring-no-sleep", "the same without waiting", Stagger::none, false, false}));
  all.push_back(
      star_ring({"star-ring-bidirectional",
                 "ring in both directions at once, rank r waits r/7000 s above 256 ranks (the scheme of NCCL)",
                 Stagger::per_rank_7000th, true, true}));
  all.push_back(central_store());
  const fs::path folder = folder_of_peers();
  for (const std::string name : kModules) {
    if (!is_wanted(name)) continue;
    const fs::path file = folder / (name + ".so");
    try {
      if (!fs::exists(file)) throw std::runtime_error(kRemedy);
      all.push_back(load(file));
    } catch (const std::exception& error) {
      missing.push_back({name, error.what()});
    }
  }
  for (Launched& peer : launched_peers()) {
    if (!is_wanted(peer.name)) continue;
    const fs::path program = folder / peer.name;
    if (fs::exists(program)) {
      all.push_back(std::make_unique<LaunchedPeer>(std::move(peer), program));
    } else {
      missing.push_back({peer.name, kRemedy});
    }
  }
  return all;
}

}  // namespace banyan::bench
