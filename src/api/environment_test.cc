#include "api/environment.hh"

#include <map>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <banyan/error.hpp>

#include "api/job_id.hh"

namespace banyan::api {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using Variables = std::map<std::string, std::string>;

Options read(const Variables& variables) {
  return options_from(Environment([&](const char* name) {
    const auto at = variables.find(name);
    return at == variables.end() ? nullptr : at->second.c_str();
  }));
}

std::string error_of(const Variables& variables, bool validate = false) {
  try {
    const Options options = read(variables);
    if (validate) options.validate();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::misuse);
    return error.what();
  }
  return "";
}

const Variables kOpenMpi{{"OMPI_COMM_WORLD_RANK", "1"},
                         {"OMPI_COMM_WORLD_SIZE", "4"},
                         {"OMPI_COMM_WORLD_LOCAL_RANK", "1"},
                         {"OMPI_COMM_WORLD_LOCAL_SIZE", "4"},
                         {"PMIX_NAMESPACE", "1974075393"},
                         {"OMPI_MCA_orte_precondition_transports", "fbf33406489c19f8-10ce758e21bee581"}};
const Variables kSlurm{{"SLURM_PROCID", "5"},
                       {"SLURM_NTASKS", "8"},
                       {"SLURM_LOCALID", "1"},
                       {"SLURM_NODEID", "2"},
                       {"SLURM_JOB_ID", "4711"},
                       {"SLURM_STEP_ID", "0"},
                       {"SLURM_STEP_NODELIST", "n[03-05]"},
                       {"SLURM_JOB_NODELIST", "n[01-09]"}};
const Variables kTorchrun{
    {"RANK", "3"},       {"WORLD_SIZE", "8"},      {"LOCAL_RANK", "1"},      {"LOCAL_WORLD_SIZE", "2"},
    {"GROUP_RANK", "1"}, {"MASTER_ADDR", "node7"}, {"MASTER_PORT", "29500"}, {"TORCHELASTIC_RUN_ID", "abc"}};

Variables with(Variables variables, const Variables& more) {
  for (const auto& [name, value] : more) variables[name] = value;
  return variables;
}

TEST(FromEnvironment, nothing_said_leaves_every_default) {
  const Options options = read({});
  EXPECT_EQ(options.rank, -1);
  EXPECT_EQ(options.world_size, 0);
  EXPECT_EQ(options.fan_out, 16);
  EXPECT_EQ(options.start_timeout.duration(), 30s);
  EXPECT_EQ(options.log_level, LogLevel::warning);
  EXPECT_EQ(options.launcher, "");
}

TEST(FromEnvironment, every_variable_is_read) {
  const Options options = read({{"BANYAN_RANK", "3"},
                                {"BANYAN_WORLD_SIZE", "8"},
                                {"BANYAN_RENDEZVOUS", "node1:4242"},
                                {"BANYAN_JOB_ID", "run-17"},
                                {"BANYAN_SECRET", "hush"},
                                {"BANYAN_ALLOW_NO_SECRET", "yes"},
                                {"BANYAN_LOCAL_RANK", "1"},
                                {"BANYAN_LOCAL_SIZE", "4"},
                                {"BANYAN_HOST_NAME", "alpha"},
                                {"BANYAN_HOST_ID", "h1"},
                                {"BANYAN_HOSTS", "a:1,b:2"},
                                {"BANYAN_HOST_INDEX", "1"},
                                {"BANYAN_FAN_OUT", "8"},
                                {"BANYAN_INTERFACE", "eth0"},
                                {"BANYAN_PORT_RANGE", "5000-5100"},
                                {"BANYAN_TRANSPORT", "tcp"},
                                {"BANYAN_TABLE", "lazy"},
                                {"BANYAN_BLOB", "card"},
                                {"BANYAN_TIMEOUT", "90"},
                                {"BANYAN_CALL_TIMEOUT", "none"},
                                {"BANYAN_CLOSE_TIMEOUT", "500ms"},
                                {"BANYAN_UNEXPECTED_BYTES", "1M"},
                                {"BANYAN_STORE_BYTES", "2M"},
                                {"BANYAN_DIRECT_LINKS", "9"},
                                {"BANYAN_DIRECT_BYTES", "32k"},
                                {"BANYAN_DIRECT_MESSAGES", "5"},
                                {"BANYAN_LOG", "debug"},
                                {"BANYAN_RENDEZVOUS_FD", "7"},
                                {"BANYAN_PROGRESS_FD", "8"}});
  EXPECT_EQ(options.rank, 3);
  EXPECT_EQ(options.world_size, 8);
  EXPECT_EQ(options.rendezvous, "node1:4242");
  EXPECT_EQ(options.job_id, "run-17");
  EXPECT_EQ(options.secret, "hush");
  EXPECT_TRUE(options.allow_no_secret);
  EXPECT_EQ(options.local_rank, 1);
  EXPECT_EQ(options.local_size, 4);
  EXPECT_EQ(options.host_name, "alpha");
  EXPECT_EQ(options.host_id, "h1");
  EXPECT_EQ(options.hosts, (std::vector<std::string>{"a:1", "b:2"}));
  EXPECT_EQ(options.host_index, 1);
  EXPECT_EQ(options.fan_out, 8);
  EXPECT_EQ(options.interface, "eth0");
  EXPECT_EQ(options.first_port, 5000);
  EXPECT_EQ(options.last_port, 5100);
  EXPECT_EQ(options.transport, Transport::tcp);
  EXPECT_EQ(options.table, Table::lazy);
  EXPECT_EQ(options.blob, "card");
  EXPECT_EQ(options.start_timeout.duration(), 90s);
  EXPECT_TRUE(options.call_timeout.is_none());
  EXPECT_EQ(options.close_timeout.duration(), 500ms);
  EXPECT_EQ(options.unexpected_bytes, 1u << 20);
  EXPECT_EQ(options.store_bytes, 2u << 20);
  EXPECT_EQ(options.direct_links, 9);
  EXPECT_EQ(options.direct_bytes, 32u << 10);
  EXPECT_EQ(options.direct_messages, 5);
  EXPECT_EQ(options.log_level, LogLevel::debug);
  EXPECT_EQ(options.rendezvous_fd, 7);
  EXPECT_EQ(options.progress_fd, 8);
  EXPECT_NO_THROW(options.validate());
}

TEST(FromEnvironment, an_error_names_variable_value_and_remedy) {
  EXPECT_EQ(error_of({{"BANYAN_RANK", "one"}}),
            "banyan: BANYAN_RANK is \"one\", which is not a whole number from 0 to 4194303: correct it or unset it");
  for (const auto& [name, value] : Variables{{"BANYAN_WORLD_SIZE", "0"},
                                             {"BANYAN_ALLOW_NO_SECRET", "maybe"},
                                             {"BANYAN_FAN_OUT", "1"},
                                             {"BANYAN_PORT_RANGE", "9-1"},
                                             {"BANYAN_TRANSPORT", "udp"},
                                             {"BANYAN_TABLE", "late"},
                                             {"BANYAN_TIMEOUT", "soon"},
                                             {"BANYAN_UNEXPECTED_BYTES", "lots"},
                                             {"BANYAN_LOG", "loud"},
                                             {"BANYAN_PROGRESS_FD", "-1"}}) {
    const std::string error = error_of({{name, value}});
    EXPECT_THAT(error, HasSubstr(name));
    EXPECT_THAT(error, HasSubstr('"' + value + '"'));
    EXPECT_THAT(error, HasSubstr("correct it or unset it"));
  }
  EXPECT_THAT(error_of(with(kOpenMpi, {{"OMPI_COMM_WORLD_RANK", "x"}})), HasSubstr("OMPI_COMM_WORLD_RANK"));
  EXPECT_THAT(error_of(with(kSlurm, {{"SLURM_STEP_NODELIST", "n[1"}})), HasSubstr("SLURM_STEP_NODELIST"));
}

TEST(FromEnvironment, an_empty_variable_counts_as_not_set) {
  EXPECT_EQ(read({{"BANYAN_RANK", ""}, {"BANYAN_TIMEOUT", ""}}).rank, -1);
}

TEST(FromEnvironment, an_error_never_shows_the_secret) {
  const std::string error = error_of({{"BANYAN_SECRET", "hush"}, {"BANYAN_SECRET_FILE", "/nowhere"}});
  EXPECT_THAT(error, HasSubstr("BANYAN_SECRET_FILE"));
  EXPECT_THAT(error, Not(HasSubstr("hush")));
}

TEST(FromEnvironment, open_mpi_on_one_host_meets_at_a_port_made_from_its_job_id) {
  const Options options = read(kOpenMpi);
  EXPECT_EQ(options.launcher, "Open MPI");
  EXPECT_EQ(options.rank, 1);
  EXPECT_EQ(options.world_size, 4);
  EXPECT_EQ(options.local_rank, 1);
  EXPECT_EQ(options.local_size, 4);
  EXPECT_EQ(options.rendezvous, "127.0.0.1:" + std::to_string(port_of(parse_job_id(options.job_id))));
  EXPECT_NO_THROW(options.validate());
  // The namespace comes again; the transport key doesn't.
  EXPECT_NE(read(with(kOpenMpi, {{"OMPI_MCA_orte_precondition_transports", "other"}})).job_id, options.job_id);
  EXPECT_EQ(read(with(kOpenMpi, {{"OMPI_COMM_WORLD_RANK", "2"}})).job_id, options.job_id);
}

TEST(FromEnvironment, open_mpi_across_hosts_asks_for_a_rendezvous) {
  const Variables across = with(kOpenMpi, {{"OMPI_COMM_WORLD_LOCAL_SIZE", "2"}});
  const std::string error = error_of(across, true);
  EXPECT_THAT(error, HasSubstr("Open MPI"));
  EXPECT_THAT(error, HasSubstr("set BANYAN_RENDEZVOUS"));
  EXPECT_EQ(error_of(with(across, {{"BANYAN_RENDEZVOUS", "node1:4242"}}), true), "");
}

TEST(FromEnvironment, slurm_meets_on_the_first_host_of_the_step) {
  const Options options = read(kSlurm);
  EXPECT_EQ(options.launcher, "Slurm");
  EXPECT_EQ(options.rank, 5);
  EXPECT_EQ(options.world_size, 8);
  EXPECT_EQ(options.local_rank, 1);
  EXPECT_EQ(options.host_index, 2);
  EXPECT_EQ(options.rendezvous, "n03:" + std::to_string(port_of(parse_job_id(options.job_id))));
  EXPECT_NE(read(with(kSlurm, {{"SLURM_STEP_ID", "1"}})).job_id, options.job_id);
  EXPECT_NE(read(with(kSlurm, {{"SLURM_JOB_ID", "4712"}})).job_id, options.job_id);
}

TEST(FromEnvironment, torchrun_meets_at_the_master_but_not_at_its_port) {
  const Options options = read(kTorchrun);
  EXPECT_EQ(options.launcher, "torchrun");
  EXPECT_EQ(options.rank, 3);
  EXPECT_EQ(options.world_size, 8);
  EXPECT_EQ(options.local_rank, 1);
  EXPECT_EQ(options.local_size, 2);
  EXPECT_EQ(options.host_index, 1);
  EXPECT_EQ(options.rendezvous, "node7:" + std::to_string(port_of(parse_job_id(options.job_id))));
  EXPECT_EQ(read(with(kTorchrun, {{"MASTER_ADDR", "fd00::2"}})).rendezvous.substr(0, 10), "[fd00::2]:");
}

TEST(FromEnvironment, mpich_needs_a_rendezvous_and_leaves_the_job_id_to_rank_0) {
  const Variables mpich{{"PMI_RANK", "1"}, {"PMI_SIZE", "2"}, {"MPI_LOCALRANKID", "1"}, {"MPI_LOCALNRANKS", "2"}};
  const Options options = read(mpich);
  EXPECT_EQ(options.rank, 1);
  EXPECT_EQ(options.local_size, 2);
  EXPECT_EQ(options.job_id, "");
  EXPECT_THAT(error_of(mpich, true), HasSubstr("set BANYAN_RENDEZVOUS"));
}

TEST(FromEnvironment, the_launcher_nearest_to_the_process_counts) {
  // mpirun, torchrun and mpiexec in a Slurm allocation.
  EXPECT_EQ(read(with(kSlurm, kOpenMpi)).launcher, "Open MPI");
  EXPECT_EQ(read(with(kSlurm, kTorchrun)).launcher, "torchrun");
  EXPECT_EQ(read(with(kSlurm, {{"PMI_RANK", "7"}, {"PMI_SIZE", "64"}})).launcher, "MPICH");
  // srun --mpi=pmi2
  EXPECT_EQ(read(with(kSlurm, {{"PMI_RANK", "5"}, {"PMI_SIZE", "8"}})).launcher, "Slurm");
}

TEST(FromEnvironment, a_rank_of_ours_hides_every_launcher) {
  const Options options = read(with(kSlurm, {{"BANYAN_RANK", "0"}, {"BANYAN_WORLD_SIZE", "1"}}));
  EXPECT_EQ(options.launcher, "");
  EXPECT_EQ(options.rank, 0);
  EXPECT_EQ(options.rendezvous, "");
  EXPECT_EQ(options.host_index, -1);
}

TEST(FromEnvironment, a_job_id_of_ours_moves_the_port_with_it) {
  const Options options = read(with(kOpenMpi, {{"BANYAN_JOB_ID", "second"}}));
  EXPECT_EQ(options.rendezvous, "127.0.0.1:" + std::to_string(port_of(parse_job_id("second"))));
}

TEST(FromEnvironment, kubernetes_gives_the_rank_of_an_indexed_job) {
  const Options options =
      read({{"JOB_COMPLETION_INDEX", "2"}, {"BANYAN_WORLD_SIZE", "4"}, {"BANYAN_RENDEZVOUS", "job-0.svc:4242"}});
  EXPECT_EQ(options.rank, 2);
  EXPECT_NO_THROW(options.validate());
}

TEST(FromEnvironment, what_belongs_to_the_process_is_read_without_the_job) {
  const Variables variables{{"BANYAN_RANK", "3"},
                            {"BANYAN_WORLD_SIZE", "8"},
                            {"BANYAN_SECRET", "hush"},
                            {"BANYAN_TIMEOUT", "7"},
                            {"BANYAN_JOB_ID", "x"}};
  const Options options = process_options_from(Environment([&](const char* name) {
    const auto at = variables.find(name);
    return at == variables.end() ? nullptr : at->second.c_str();
  }));
  EXPECT_EQ(options.rank, -1);
  EXPECT_EQ(options.job_id, "");
  EXPECT_EQ(options.secret, "hush");
  EXPECT_EQ(options.start_timeout.duration(), 7s);
}

}  // namespace
}  // namespace banyan::api
