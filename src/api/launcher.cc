#include "api/launcher.hh"

#include "api/job_id.hh"
#include "api/parse.hh"
#include "base/limits.hh"

namespace banyan::api {
namespace {

constexpr int kMaxRanks = static_cast<int>(kMaxWorldSize);

int rank_in(const Environment& environment, const char* name) {
  return environment.number(name, 0, kMaxRanks - 1).value_or(-1);
}
int size_in(const Environment& environment, const char* name) {
  return environment.number(name, 1, kMaxRanks).value_or(0);
}
std::string text_in(const Environment& environment, const char* name) { return environment.get(name).value_or(""); }
std::string text_in(const Environment& environment, const char* name, const char* older_name) {
  return environment.get(name).value_or(text_in(environment, older_name));
}

Launcher open_mpi(const Environment& environment) {
  Launcher launcher;
  launcher.name = "Open MPI";
  launcher.rank = rank_in(environment, "OMPI_COMM_WORLD_RANK");
  launcher.world_size = size_in(environment, "OMPI_COMM_WORLD_SIZE");
  launcher.local_rank = rank_in(environment, "OMPI_COMM_WORLD_LOCAL_RANK");
  launcher.local_size = size_in(environment, "OMPI_COMM_WORLD_LOCAL_SIZE");
  // The namespace is made from a process id and so comes again; Open MPI 4's transport key is random.
  const std::string name_space = text_in(environment, "PMIX_NAMESPACE", "OMPI_MCA_ess_base_jobid");
  if (!name_space.empty()) {
    launcher.job_id =
        hashed_job_id({"Open MPI", name_space, text_in(environment, "OMPI_MCA_orte_precondition_transports")});
  }
  if (launcher.world_size > 0 && launcher.local_size == launcher.world_size) launcher.root_host = "127.0.0.1";
  return launcher;
}

Launcher torchrun(const Environment& environment) {
  Launcher launcher;
  launcher.name = "torchrun";
  launcher.rank = rank_in(environment, "RANK");
  launcher.world_size = size_in(environment, "WORLD_SIZE");
  launcher.local_rank = rank_in(environment, "LOCAL_RANK");
  launcher.local_size = size_in(environment, "LOCAL_WORLD_SIZE");
  launcher.host_index = rank_in(environment, "GROUP_RANK");
  launcher.root_host = text_in(environment, "MASTER_ADDR");
  // Not TORCHELASTIC_RESTART_COUNT: agents that joined late count from another start. The port is new in every round.
  launcher.job_id = hashed_job_id({"torchrun", text_in(environment, "TORCHELASTIC_RUN_ID"), launcher.root_host,
                                   text_in(environment, "MASTER_PORT")});
  return launcher;
}

Launcher pmi(const Environment& environment) {
  Launcher launcher;
  launcher.name = "MPICH";
  launcher.rank = rank_in(environment, "PMI_RANK");
  launcher.world_size = size_in(environment, "PMI_SIZE");
  launcher.local_rank = rank_in(environment, "MPI_LOCALRANKID");
  launcher.local_size = size_in(environment, "MPI_LOCALNRANKS");
  if (const auto job = environment.get("PMI_JOBID")) launcher.job_id = hashed_job_id({"PMI", *job});
  return launcher;
}

Launcher slurm(const Environment& environment) {
  Launcher launcher;
  launcher.name = "Slurm";
  launcher.rank = rank_in(environment, "SLURM_PROCID");
  launcher.world_size = size_in(environment, "SLURM_NTASKS");
  launcher.local_rank = rank_in(environment, "SLURM_LOCALID");
  launcher.host_index = rank_in(environment, "SLURM_NODEID");
  launcher.job_id = hashed_job_id({"Slurm", text_in(environment, "SLURM_JOB_ID", "SLURM_JOBID"),
                                   text_in(environment, "SLURM_STEP_ID", "SLURM_STEPID"),
                                   text_in(environment, "SLURM_RESTART_COUNT")});
  const char* const variable = environment.has("SLURM_STEP_NODELIST") ? "SLURM_STEP_NODELIST" : "SLURM_JOB_NODELIST";
  if (const auto list = environment.get(variable)) {
    const auto host = first_slurm_host(*list);
    if (!host) throw_unreadable(variable, *list, "a list of nodes like n[1-4,7],gpu1");
    launcher.root_host = *host;
  }
  return launcher;
}

// srun can speak PMI, too. mpiexec inside of a Slurm allocation starts its proxies by srun, one to a node: then the two
// disagree, and the inner one counts.
bool slurm_speaks_pmi(const Environment& environment) {
  const auto rank = environment.get("SLURM_PROCID");
  return rank && rank == environment.get("PMI_RANK") && environment.get("SLURM_NTASKS") == environment.get("PMI_SIZE");
}

}  // namespace

std::optional<Launcher> find_launcher(const Environment& environment) {
  const auto has = [&](const char* name) { return environment.has(name); };
  if (has("OMPI_COMM_WORLD_RANK") && has("OMPI_COMM_WORLD_SIZE")) return open_mpi(environment);
  if (has("RANK") && has("WORLD_SIZE") && has("MASTER_ADDR")) return torchrun(environment);
  if (has("PMI_RANK") && has("PMI_SIZE") && !slurm_speaks_pmi(environment)) return pmi(environment);
  if (has("SLURM_PROCID") && has("SLURM_NTASKS")) return slurm(environment);
  if (has("JOB_COMPLETION_INDEX")) {
    Launcher kubernetes;
    kubernetes.name = "Kubernetes";
    kubernetes.rank = rank_in(environment, "JOB_COMPLETION_INDEX");
    return kubernetes;
  }
  return std::nullopt;
}

}  // namespace banyan::api
