// Everything that can be said about one rank of a job, and how it is read from the environment.
//
// Options::from_environment() reads BANYAN_* variables first. If BANYAN_RANK is not set it also looks for a launcher,
// in this order, and takes what BANYAN_* leaves open from the first that it finds:
//
// clang-format off
//  launcher   | rank                 | rank on this host          | job id made from             | rendezvous
//             | number of ranks      | ranks on this host         |                              |
//  -----------+----------------------+----------------------------+------------------------------+---------------------
//  Open MPI   | OMPI_COMM_WORLD_RANK | OMPI_COMM_WORLD_LOCAL_RANK | PMIX_NAMESPACE, else         | one host: 127.0.0.1
//             | OMPI_COMM_WORLD_SIZE | OMPI_COMM_WORLD_LOCAL_SIZE | OMPI_MCA_ess_base_jobid; and | and a port made from
//             |                      |                            | OMPI_MCA_orte_precondition_  | the job id; several:
//             |                      |                            | transports where it is set   | BANYAN_RENDEZVOUS
//  -----------+----------------------+----------------------------+------------------------------+---------------------
//  torchrun   | RANK                 | LOCAL_RANK                 | TORCHELASTIC_RUN_ID,         | MASTER_ADDR, and a
//             | WORLD_SIZE           | LOCAL_WORLD_SIZE           | MASTER_ADDR, MASTER_PORT     | port made from the
//             | (with MASTER_ADDR)   | host: GROUP_RANK           |                              | job id
//  -----------+----------------------+----------------------------+------------------------------+---------------------
//  MPICH, PMI | PMI_RANK             | MPI_LOCALRANKID            | PMI_JOBID where it is set,   | BANYAN_RENDEZVOUS
//             | PMI_SIZE             | MPI_LOCALNRANKS            | else invented by rank 0      |
//  -----------+----------------------+----------------------------+------------------------------+---------------------
//  Slurm      | SLURM_PROCID         | SLURM_LOCALID              | SLURM_JOB_ID, SLURM_STEP_ID, | first host of
//             | SLURM_NTASKS         | host: SLURM_NODEID         | SLURM_RESTART_COUNT          | SLURM_STEP_NODELIST,
//             |                      |                            |                              | else of
//             |                      |                            |                              | SLURM_JOB_NODELIST,
//             |                      |                            |                              | and a port made from
//             |                      |                            |                              | the job id
//  -----------+----------------------+----------------------------+------------------------------+---------------------
//  Kubernetes | JOB_COMPLETION_INDEX | -                          | invented by rank 0           | BANYAN_RENDEZVOUS:
//             | BANYAN_WORLD_SIZE    |                            |                              | the name of pod 0
//  -----------+----------------------+----------------------------+------------------------------+---------------------
//  by hand    | BANYAN_RANK          | BANYAN_LOCAL_RANK          | invented by rank 0           | BANYAN_RENDEZVOUS
//             | BANYAN_WORLD_SIZE    | BANYAN_LOCAL_SIZE          |                              |
//             |                      | (both optional)            |                              |
// clang-format on
//
// `banyan run` sets BANYAN_* for all of it. Where the table names BANYAN_*, it has to be set. Where Slurm and PMI agree
// on rank and size, the launcher is Slurm (`srun --mpi=pmi2`).
//
// A port made from the job id lies in 20000-29999: below the ports that Linux gives to clients (32768-60999), and
// different for two jobs of one host with a chance of 9,999 in 10,000. When it is taken all the same, rank 0 says so
// and names the remedy: BANYAN_RENDEZVOUS.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <banyan/timeout.hpp>

namespace banyan {

enum class Transport : std::uint8_t {
  automatic,  // Unix sockets between the ranks of a host, TCP between hosts
  tcp,        // TCP everywhere, and every rank stands in the tree as if it were a host of its own
};

// Where the blobs of others are when start() returns.
enum class Table : std::uint8_t {
  eager,  // here: all ranks are given all of them with the table
  lazy,   // where they come from: each is asked for when it is wanted, which takes as many microseconds as a message
          // there and back, and less time, bytes and memory for the start of large jobs whose ranks want a few
};

// What is logged to standard error; each level has what follows it, too. Failures are thrown, so nothing is logged at
// `error` in this version: it is as quiet as `off`.
//   warning: what somebody should see to though the job goes on (no secret, a rank that was refused)
//   info:    when the job had formed, and why it is over when it failed
//   debug:   what went wrong in a destructor, which can't throw
enum class LogLevel : std::uint8_t { debug, info, warning, error, off };

struct Options {
  // ---- Who this is. Both must be set; all ranks give the same world size.
  int rank = -1;       // BANYAN_RANK: 0 .. world_size - 1
  int world_size = 0;  // BANYAN_WORLD_SIZE: 1 .. 4,194,304

  // ---- Where to meet.
  // BANYAN_RENDEZVOUS: host:port or [v6 address]:port, known to every rank; rank 0 binds it. A comma-separated list
  // names alternative addresses of rank 0, tried in turn. A name that does not resolve yet is tried again until
  // start_timeout, by rank 0 as well. A job of one rank needs none.
  // Rank 0 listens at that address alone if it is one of its host's own. It listens on ALL addresses of its host if it
  // is not, if a name means a loopback address (many systems let a host's own name mean 127.0.1.1), and for a list,
  // unless the list begins with a literal loopback address or "localhost".
  std::string rendezvous;
  // BANYAN_JOB_ID: tells jobs apart that meet at the same place. 32 hexadecimal digits are taken as they are, any other
  // text is hashed. Empty: rank 0 invents one and the others adopt it.
  std::string job_id;

  // ---- Who may take part.
  // BANYAN_SECRET, or a file (BANYAN_SECRET_FILE) that only its owner may read (mode 0600); a line break at its end
  // does not count. Both at once are an error (misuse). Every rank of the job proves that it knows the secret, and
  // nobody else gets in. Never logged, never sent.
  std::string secret;
  // BANYAN_ALLOW_NO_SECRET=1: this job is meant to run without one. Otherwise rank 0 warns loudly, once per process.
  bool allow_no_secret = false;

  // ---- The hosts.
  // BANYAN_LOCAL_RANK: place among the ranks of this host; -1: unknown. It is here for the program itself (which device
  // to take, what to log); Banyan checks that it is below local_size and needs only that.
  int local_rank = -1;
  // BANYAN_LOCAL_SIZE: ranks on this host; 0: unknown. Saves messages at the start, and lets rank 0 lead its host.
  int local_size = 0;
  std::string host_name;  // BANYAN_HOST_NAME: for people; empty: what the system says
  // BANYAN_HOST_ID: ranks with the same id share a host (they can reach each other through Unix sockets). Empty: made
  // from the boot id, the network namespace and the user. Other values let one machine play many hosts.
  std::string host_id;
  // BANYAN_HOSTS: host:port of each host's leader, comma-separated, rank 0's host first, and which of the job's hosts
  // this is (BANYAN_HOST_INDEX, from 0). Listed hosts know their parents in the tree, and nobody but the first ones
  // needs the rendezvous. The list may end early: hosts beyond it ask one of those in it, which divides the work that
  // the rendezvous would have. Empty: parents are found by asking at the rendezvous.
  std::vector<std::string> hosts;
  int host_index = -1;

  // ---- The tree and the network.
  int fan_out = 16;  // BANYAN_FAN_OUT: 2 .. 1024 children of a host's leader; rank 0's value counts for all
  // BANYAN_INTERFACE: which network to use between hosts, as an interface ("eth0"), an address of this host, or a
  // network ("10.0.0.0/8"). Empty: the system's choice.
  std::string interface;
  // BANYAN_PORT_RANGE, "5000-5100": the ports that listeners other than the rendezvous may use; 0: the system's choice.
  // One for each host's leader, and one for each rank that another host's rank makes a direct link to.
  int first_port = 0;
  int last_port = 0;
  Transport transport = Transport::automatic;  // BANYAN_TRANSPORT: auto or tcp

  // ---- What the others get to know of this rank: at most 32 KiB, any bytes. BANYAN_BLOB.
  std::string blob;
  Table table = Table::eager;  // BANYAN_TABLE: eager or lazy; rank 0's value counts for all

  // ---- Deadlines. In the environment "30", "30s", "500ms", "2m", "1h", or "none"; here a duration or Timeout::none().
  Timeout start_timeout = std::chrono::seconds(30);  // BANYAN_TIMEOUT: from start() until the job has formed
  Timeout call_timeout = std::chrono::minutes(5);    // BANYAN_CALL_TIMEOUT: of an operation that names none
  Timeout close_timeout = std::chrono::seconds(10);  // BANYAN_CLOSE_TIMEOUT: how long close() waits for the others

  // ---- Memory. BANYAN_UNEXPECTED_BYTES: what other ranks may have sent before this one asked for it; senders wait
  // when it is used up. In the environment "4194304", "4M", "4 MiB", "512k"; at least 32,768.
  std::size_t unexpected_bytes = std::size_t{4} * 1024 * 1024;
  // BANYAN_STORE_BYTES: keys and values that this rank keeps for the store, each with 256 bytes on top; beyond it put,
  // add and compare_set fail. At least 131,072.
  std::size_t store_bytes = std::size_t{16} * 1024 * 1024;

  // ---- Direct links. Messages between ranks that are no neighbours in the tree are passed on by others until they are
  // worth a connection of their own.
  // BANYAN_DIRECT_LINKS: at most so many at this rank, 0 to 10,000; 0: none. When all are in use further ranks'
  // messages are routed; idle ones make room, the one used longest ago first.
  int direct_links = 64;
  // BANYAN_DIRECT_BYTES: a message of this size makes one ("128K"; at least 1). BANYAN_DIRECT_MESSAGES: so many to one
  // rank within a second make one, at least 1.
  std::size_t direct_bytes = std::size_t{128} * 1024;
  int direct_messages = 16;

  // ---- For people and launchers.
  LogLevel log_level = LogLevel::warning;  // BANYAN_LOG: debug, info, warn, error or off
  // BANYAN_RENDEZVOUS_FD: rank 0's rendezvous as a socket that listens already, so that nobody can take the port
  // between its choice and its use. start() takes it over, and Banyan closes it. A number that is anything else by then
  // (a bootstrap before this one had the socket) is left alone, and the rendezvous is bound as usual. -1: none.
  int rendezvous_fd = -1;
  // BANYAN_PROGRESS_FD: rank 0 writes lines to this descriptor while the job forms, as long as there is room in the
  // pipe: "waiting for 3 of 1024: 17, 904-905", and "formed 1024 ranks on 128 hosts in 57 ms" when it is done. -1:
  // none.
  int progress_fd = -1;

  // The launcher that from_environment() found, for messages; empty when there was none.
  std::string launcher;

  // What the environment says, by the table above; what it does not mention keeps its default. Throws Error (misuse)
  // that names variable, value and remedy when a variable can't be read, and Error (resources) when a secret file
  // can't. Warns, once per process, of variables that begin with BANYAN_ and mean nothing. Reads the environment: not
  // beside a thread that changes it.
  static Options from_environment();
  // Throws Error (misuse) for the first thing that can't work, naming it and its remedy. init() calls it.
  void validate() const;
};

}  // namespace banyan
