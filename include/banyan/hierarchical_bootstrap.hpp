// Banyan brings the N processes (ranks) of a job together over a tree, before a collective library builds its own
// paths: every rank learns every other rank's blob, and then they broadcast, gather, reduce, meet and send messages.
//
//   auto bootstrap = std::make_unique<bootstrap::HierarchicalBootstrap>();
//   bootstrap->init(rank, total_ranks, address, port);   // the rendezvous; rank 0 binds it
//   bootstrap->start();
//   bootstrap->broadcast(root, message);                 // filled in at the others
//   auto everyone = bootstrap->allgather(local_data);
//   bootstrap->barrier();
//   bootstrap->send(target_rank, message);
//   auto answer = bootstrap->recv(source_rank);
//   bootstrap->put("name", value);                       // any rank may then get("name")
//
// Order: init() once, start() once, operations in any number, then close() or the destructor. Ranks may come in any
// order, rank 0 last included. Calls out of order throw Error (misuse) and change nothing.
//
// Forms: every operation that waits comes three times. `barrier()` blocks, `barrier_async()` returns a std::future, and
// `begin_barrier()` returns a Handle to poll (handle.hpp). They may be mixed.
//
// Messages: std::string and std::vector of std::byte, char or unsigned char, with any bytes or none. String
// literals will do where an argument is a MessageView (send, set_blob, every begin_ form), and in allgather and gather.
// What is handed in is copied before the call returns and stays the caller's; what comes back belongs to the caller,
// and Handle::view reads it in place, without a copy. Values (_value) are trivially copyable objects whose bytes are
// sent as they are, so all ranks must run the same program on the same kind of machine. One message, one contribution
// to a collective and all that an allgather brings may have 4 GiB each; beyond that the call fails with
// ErrorCode::too_large.
//
// Arguments: a root, target, source or other rank that is not in 0 .. world size - 1, a number of parts or counts that
// is not the number of ranks, and a negative timeout throw Error (misuse) and change nothing.
//
// Collective operations (broadcast to exclusive_scan below) are called by every rank in the same order, with the same
// root and, for reductions, the same count, type and Reduction; else all ranks fail with ErrorCode::mismatch, and
// what() names both calls. Any number may be in flight. send and recv pair by (source, target, tag), in order.
//
// Deadlines: the last argument of an operation is how long it may take: any std::chrono duration, Timeout::none(), or
// by default Options::call_timeout (5 minutes). start() has Options::start_timeout (30 s). A collective that timed out
// counts as called: its late result is dropped, and the next one is the next one everywhere.
//
// Failures are thrown as banyan::Error (error.hpp): by the call, the future or the handle. When a rank is lost the job
// is over: everything pending fails with an error that names the rank, and so does every later call. After a failed
// start() make a new HierarchicalBootstrap to try again.
//
// Threads: any thread may call anything, but only one at a time may be inside a collective operation: the second is
// refused with Error (misuse), since the ranks could not agree on the order of the two. Banyan has one background
// thread for all bootstraps of the process; it runs no code of yours but Handle::on_done. Threads of yours that wait in
// Banyan may run such callbacks too, in which nothing may block: blocking calls throw Error (misuse) there.
//
// Jobs: one after the other may use the same options; start() waits for the end of the last one, at most close_timeout.
// Those that are open at the same time need job ids of their own.
//
// Processes: many bootstraps may live in one process, as ranks of one job or of several. They don't survive fork(): a
// child closes its copies of Banyan's sockets at once, and calls there throw Error (misuse). It may make bootstraps of
// its own.
//
// `namespace bootstrap` is another name of `namespace banyan`. Define BANYAN_NO_BOOTSTRAP_ALIAS if you have your own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <banyan/error.hpp>
#include <banyan/handle.hpp>
#include <banyan/message.hpp>
#include <banyan/options.hpp>
#include <banyan/timeout.hpp>
#include <banyan/version.hpp>

namespace banyan {

// Facts about the formed job, as this rank knows them. A host's leader is its first process. Where that is another rank
// than 0 on rank 0's host, it is a child of rank 0 like any leader: one host then has depth 1. A rank has at most
// fan-out + 1 tree links, rank 0 fan-out + 2.
struct Statistics {
  int ranks = 0;
  int hosts = 0;
  int depth = 0;                          // steps from rank 0 to the deepest leader; 0 when rank 0 leads the one host
  int tree_links = 0;                     // this rank's connections between leaders, and between a leader and rank 0
  int tree_links_peak = 0;                // the most there ever were
  int local_links = 0;                    // this rank's connections to its leader, or of a leader to its host's ranks
  int direct_links = 0;                   // this rank's connections to others, on demand
  std::uint64_t direct_links_opened = 0;  // since the job formed
  std::uint64_t direct_links_lost = 0;    // of these, the ones that broke, or that the other side closed
  std::uint64_t turned_away = 0;          // connections refused here: strangers, wrong secret, wrong job
  std::uint64_t unexpected_bytes = 0;     // what came for receives that were not posted yet, and is held now
  // Of this rank's start, from the moment when its connections began: until it had its leader or its parent (0 at rank
  // 0), until the table began to come, which means that all ranks have registered, and until it was whole.
  double placed_ms = 0;
  double table_ms = 0;
  double formed_ms = 0;
};

// The color of ranks that are to be in none of the communicators that a split makes.
inline constexpr int kNoColor = -1;

// A message that has been announced to this rank, and that a recv with this source and tag would bring.
struct MessageInfo {
  int source = -1;
  std::uint32_t tag = 0;
  std::size_t bytes = 0;
};

// What a compare_set has done: whether it has set the key, and what is there now, if there is anything.
template <typename Message>
struct Exchanged {
  bool set = false;
  std::optional<Message> value;
};

namespace detail {

// One operation as it goes to the library.
struct Call {
  enum class Kind : std::uint8_t {
    barrier = 1,
    broadcast,
    allgather,
    gather,
    scatter,
    reduce,
    allreduce,
    send,
    recv,
    recv_any,
    probe,
    probe_any,
    connect,
    split,
    group,
    alltoall,
    reduce_scatter,
    scan,
    exclusive_scan,
    barrier_group,
    peer_blob,
    put,
    get,
    find,
    add,
    compare_set,
    remove
  };
  Kind kind;
  Timeout timeout = {};
  int rank = -1;  // root, target, source, peer or whose blob
  MessageView message = {};
  const std::vector<MessageView>* parts = nullptr;  // scatter, alltoall
  std::uint32_t tag = 0;
  Reduction reduction = {};
  ElementType element = {};
  std::size_t count = 0;
  int color = -1;                                    // split
  int order = 0;                                     // split: its key
  const std::vector<int>* ranks = nullptr;           // group, barrier_group
  const std::vector<std::size_t>* counts = nullptr;  // reduce_scatter by counts
  std::string_view key = {};                         // of the store
  const MessageView* expected = nullptr;             // compare_set; null: nothing may be there
  std::int64_t delta = 0;                            // add
  std::shared_ptr<const void> keeper = nullptr;      // of the bytes of message and parts; null: they are copied
};

// What `convert` makes of the handle, as a future.
template <typename Convert>
auto future_of(const Handle& handle, Convert convert) -> std::future<decltype(convert(handle))> {
  using Result = decltype(convert(handle));
  auto promise = std::make_shared<std::promise<Result>>();
  handle.on_done([promise, handle, convert = std::move(convert)] {
    try {
      if constexpr (std::is_void_v<Result>) {
        convert(handle);
        promise->set_value();
      } else {
        promise->set_value(convert(handle));
      }
    } catch (...) {
      promise->set_exception(std::current_exception());
    }
  });
  return promise->get_future();
}

template <typename Message>
using IfMessage = std::enable_if_t<is_message<Message>>;

template <typename Message>
std::vector<MessageView> views_of(const std::vector<Message>& messages) {
  return {messages.begin(), messages.end()};
}
template <typename Value>
std::vector<MessageView> value_views_of(const std::vector<Value>& values) {
  std::vector<MessageView> views;
  views.reserve(values.size());
  for (const Value& value : values) views.push_back(MessageView::of(value));
  return views;
}

}  // namespace detail

class HierarchicalBootstrap {
 public:
  HierarchicalBootstrap();
  // As close(), but quietly: nothing is thrown. In a callback (Handle::on_done) it does not take leave of the others
  // first, so that they may lose this rank; in a child of fork() it does nothing.
  ~HierarchicalBootstrap();
  // One that was moved from may only be assigned to and destroyed.
  HierarchicalBootstrap(HierarchicalBootstrap&&) noexcept;
  HierarchicalBootstrap& operator=(HierarchicalBootstrap&&) noexcept;

  // ---- Beginning and end --------------------------------------------------------------------------------------------

  // Says who this is and where to meet: rank 0 will bind address:port, the others will connect to it. The secret,
  // the deadlines and what else belongs to the process and not to the job are read from the environment; rank, size,
  // rendezvous, job id and host list are not. Sends nothing. Throws Error (misuse), and may be called again then.
  void init(int rank, int total_ranks, const std::string& address, int port);
  // The same with all that can be said (options.hpp). `init(Options::from_environment())` works under any launcher.
  void init(Options options);

  // What every other rank gets to know of this one: at most 32 KiB. Between init() and start(); replaces Options::blob.
  void set_blob(MessageView blob);

  // Joins the job. Returns when this rank holds the table of all ranks and, with Table::eager, their blobs. Throws
  // Error: which ranks are missing when start_timeout has passed, who came twice, what could not be bound.
  void start();
  std::future<void> start_async();
  Handle begin_start();

  // Takes leave: waits until no rank needs this one any more to pass messages on, for at most close_timeout, then ends
  // pending operations with ErrorCode::closed and all connections. Other ranks' messages that were not received are
  // lost. Throws nothing but misuse (never initialised, closed before). Never started or failed: returns at once.
  void close();

  // ---- The job ------------------------------------------------------------------------------------------------------
  // rank and world size from init() on, the others once start() has returned; all of them after close(), too.

  int rank() const;
  int world_size() const;
  // What the job calls this rank of a communicator: the number that errors name it by. In the whole job, the same.
  int job_rank(int rank) const;
  // The name of the host that `rank` runs on.
  std::string host_of(int rank) const;
  // What `rank` set as its blob. With Table::eager at once, after close() as well. With Table::lazy the rank is asked
  // for it if it is not this one; a blob that has come is kept, up to 4 MiB of them, those used last, so that asking
  // again waits for nobody, and works after close(), too. Any number may be begun: 64 ranks are asked at a time. Throws
  // Error (rank_left) of one that has closed and was not asked before: where others still need it, meet in a barrier()
  // before.
  template <typename Message = std::string, typename = detail::IfMessage<Message>>
  Message peer_blob(int rank, Timeout timeout = {}) const {
    Message blob;
    const auto resize = [&blob](std::size_t size) -> void* {
      blob.resize(size);
      return blob.data();
    };
    copy_blob({Kind::peer_blob, timeout, rank}, resize);
    return blob;
  }
  template <typename Message = std::string, typename = detail::IfMessage<Message>>
  std::future<Message> peer_blob_async(int rank, Timeout timeout = {}) const {
    return future_message<Message>(begin_peer_blob(rank, timeout));
  }
  Handle begin_peer_blob(int rank, Timeout timeout = {}) const { return begin({Kind::peer_blob, timeout, rank}); }
  Statistics statistics() const;

  // ---- Collective operations on messages ----------------------------------------------------------------------------

  // `message` of `root` goes to all; elsewhere it is overwritten.
  // At the root a message of 1 MiB or more takes a descriptor, of the memory that the ranks of its host share, until
  // they have it; if it has no such ranks, as long as its handle.
  template <typename Message, typename = detail::IfMessage<Message>>
  void broadcast(int root, Message& message, Timeout timeout = {}) {
    const Handle done = run({Kind::broadcast, timeout, root, view_at(root, message)});
    if (rank() != root) message = done.message<Message>();
  }
  template <typename Message, typename = detail::IfMessage<Message>>
  std::future<Message> broadcast_async(int root, const Message& message, Timeout timeout = {}) {
    return future_message<Message>(begin_broadcast(root, message, timeout));
  }
  Handle begin_broadcast(int root, MessageView message, Timeout timeout = {}) {
    return begin({Kind::broadcast, timeout, root, message});
  }

  // Every rank's message, by rank, at every rank. They may differ in size.
  template <typename Message, typename = detail::IfMessage<Message>>
  std::vector<Message> allgather(const Message& message, Timeout timeout = {}) {
    return run({Kind::allgather, timeout, -1, message}).template messages<Message>();
  }
  template <typename Message, typename = detail::IfMessage<Message>>
  std::future<std::vector<Message>> allgather_async(const Message& message, Timeout timeout = {}) {
    return future_messages<Message>(begin_allgather(message, timeout));
  }
  // A string literal or view; what comes back are strings.
  std::vector<std::string> allgather(std::string_view text, Timeout timeout = {}) {
    return run({Kind::allgather, timeout, -1, text}).messages<std::string>();
  }
  std::future<std::vector<std::string>> allgather_async(std::string_view text, Timeout timeout = {}) {
    return future_messages<std::string>(begin_allgather(text, timeout));
  }
  Handle begin_allgather(MessageView message, Timeout timeout = {}) {
    return begin({Kind::allgather, timeout, -1, message});
  }

  // Every rank's message, by rank, at `root`; elsewhere an empty vector.
  template <typename Message, typename = detail::IfMessage<Message>>
  std::vector<Message> gather(int root, const Message& message, Timeout timeout = {}) {
    return run({Kind::gather, timeout, root, message}).template messages<Message>();
  }
  template <typename Message, typename = detail::IfMessage<Message>>
  std::future<std::vector<Message>> gather_async(int root, const Message& message, Timeout timeout = {}) {
    return future_messages<Message>(begin_gather(root, message, timeout));
  }
  std::vector<std::string> gather(int root, std::string_view text, Timeout timeout = {}) {
    return run({Kind::gather, timeout, root, text}).messages<std::string>();
  }
  std::future<std::vector<std::string>> gather_async(int root, std::string_view text, Timeout timeout = {}) {
    return future_messages<std::string>(begin_gather(root, text, timeout));
  }
  Handle begin_gather(int root, MessageView message, Timeout timeout = {}) {
    return begin({Kind::gather, timeout, root, message});
  }

  // parts[i] of `root` goes to rank i. There must be one for each rank; elsewhere `parts` is ignored, and may be
  // written as `scatter<std::string>(root, {})`.
  template <typename Message, typename = detail::IfMessage<Message>>
  Message scatter(int root, const std::vector<Message>& parts, Timeout timeout = {}) {
    const auto views = detail::views_of(parts);
    return run({Kind::scatter, timeout, root, {}, &views}).template message<Message>();
  }
  template <typename Message, typename = detail::IfMessage<Message>>
  std::future<Message> scatter_async(int root, const std::vector<Message>& parts, Timeout timeout = {}) {
    return future_message<Message>(begin_scatter(root, detail::views_of(parts), timeout));
  }
  Handle begin_scatter(int root, const std::vector<MessageView>& parts, Timeout timeout = {}) {
    return begin({Kind::scatter, timeout, root, {}, &parts});
  }

  // parts[i] goes to rank i, and [i] of the result came from rank i. There must be one for each rank, this one
  // included; they may differ in size, and some or all may be empty (what MPI calls alltoallv is this too). Nothing is
  // sent before all ranks have called it; then the bytes go between pairs, as those of send do. (All this holds for the
  // scans and, with long vectors, for reduce_scatter, too.)
  template <typename Message, typename = detail::IfMessage<Message>>
  std::vector<Message> alltoall(const std::vector<Message>& parts, Timeout timeout = {}) {
    const auto views = detail::views_of(parts);
    return run({Kind::alltoall, timeout, -1, {}, &views}).template messages<Message>();
  }
  template <typename Message, typename = detail::IfMessage<Message>>
  std::future<std::vector<Message>> alltoall_async(const std::vector<Message>& parts, Timeout timeout = {}) {
    return future_messages<Message>(begin_alltoall(detail::views_of(parts), timeout));
  }
  Handle begin_alltoall(const std::vector<MessageView>& parts, Timeout timeout = {}) {
    return begin({Kind::alltoall, timeout, -1, {}, &parts});
  }

  // Returns when every rank has called it.
  void barrier(Timeout timeout = {}) { run({Kind::barrier, timeout}); }
  std::future<void> barrier_async(Timeout timeout = {}) { return future_done(begin_barrier(timeout)); }
  Handle begin_barrier(Timeout timeout = {}) { return begin({Kind::barrier, timeout}); }

  // Returns when every one of `ranks` has called it with the same ranks, in any order; this rank is one of them, and no
  // other need do anything. The first barrier of some ranks makes a communicator of them, which is kept for the next;
  // so it can't be begun in a callback, nor by two threads at a time.
  void barrier(const std::vector<int>& ranks, Timeout timeout = {}) { group_for_barrier(ranks).barrier(timeout); }
  std::future<void> barrier_async(const std::vector<int>& ranks, Timeout timeout = {}) {
    return group_for_barrier(ranks).barrier_async(timeout);
  }
  Handle begin_barrier(const std::vector<int>& ranks, Timeout timeout = {}) {
    return group_for_barrier(ranks).begin_barrier(timeout);
  }

  // ---- Communicators of some of the ranks ---------------------------------------------------------------------------
  // Each is a HierarchicalBootstrap with ranks 0, 1, 2, ... of its own and the operations of the job, which never mix
  // with those of others: neither collective ones nor messages. host_of, peer_blob, Handle::source and all arguments go
  // by its ranks, errors by the job's (job_rank) and say both of whoever speaks. It may be split in its turn. Whoever
  // closes it, or drops it, goes on to pass on what others need there; their later operations in it fail with
  // rank_left. It ends with its job: close those first. Messages that were sent in it should be received before. A rank
  // may be in 4096 at a time.

  // Called by all ranks, as any collective operation. Those with the same color (0 or more) are together in the
  // communicator that comes back, ordered by key, then by their rank so far. Of color kNoColor: valid() is false.
  HierarchicalBootstrap split(int color, int key = 0, Timeout timeout = {}) {
    return made_by(run(split_call(color, key, timeout)));
  }
  std::future<HierarchicalBootstrap> split_async(int color, int key = 0, Timeout timeout = {});
  Handle begin_split(int color, int key = 0, Timeout timeout = {}) { return begin(split_call(color, key, timeout)); }
  // What a begun split has made, once. Waits first if need be. Error (misuse) of any other operation.
  HierarchicalBootstrap made_by(const Handle& split) const;

  // Called by all ranks: a communicator of all of them, with the same ranks.
  HierarchicalBootstrap duplicate(Timeout timeout = {}) { return split(0, rank(), timeout); }
  std::future<HierarchicalBootstrap> duplicate_async(Timeout timeout = {}) { return split_async(0, rank(), timeout); }
  Handle begin_duplicate(Timeout timeout = {}) { return begin_split(0, rank(), timeout); }

  // Called by these ranks alone, this one among them, with the same list; the one at place i is rank i. Says nothing to
  // the others, so it returns at once and has one form. The n-th call with a list belongs to the others' n-th with it.
  HierarchicalBootstrap group(const std::vector<int>& ranks) {
    detail::Call call{Kind::group, {}};
    call.ranks = &ranks;
    return made_by(run(call));
  }

  // False of what split() gives to kNoColor, and of one that was moved from: they may only be assigned to and
  // destroyed.
  bool valid() const noexcept { return implementation_ != nullptr; }

  // ---- Reductions ---------------------------------------------------------------------------------------------------
  // Element by element, over vectors that have the same length at every rank. Element: integers, float, double.

  // The result is at `root`; elsewhere an empty vector.
  template <typename Element>
  std::vector<Element> reduce(int root, const std::vector<Element>& elements, Reduction reduction,
                              Timeout timeout = {}) {
    return run(reduction_call(Kind::reduce, root, elements.data(), elements.size(), reduction, timeout))
        .template elements<Element>();
  }
  template <typename Element>
  std::future<std::vector<Element>> reduce_async(int root, const std::vector<Element>& elements, Reduction reduction,
                                                 Timeout timeout = {}) {
    return future_elements<Element>(begin_reduce(root, elements.data(), elements.size(), reduction, timeout));
  }
  template <typename Element>
  Handle begin_reduce(int root, const Element* elements, std::size_t count, Reduction reduction, Timeout timeout = {}) {
    return begin(reduction_call(Kind::reduce, root, elements, count, reduction, timeout));
  }

  // The result is everywhere, with identical bits.
  template <typename Element>
  std::vector<Element> allreduce(const std::vector<Element>& elements, Reduction reduction, Timeout timeout = {}) {
    return run(reduction_call(Kind::allreduce, -1, elements.data(), elements.size(), reduction, timeout))
        .template elements<Element>();
  }
  // One number.
  template <typename Element, typename = std::enable_if_t<std::is_arithmetic_v<Element>>>
  Element allreduce(Element element, Reduction reduction, Timeout timeout = {}) {
    return run(reduction_call(Kind::allreduce, -1, &element, 1, reduction, timeout)).template value<Element>();
  }
  template <typename Element>
  std::future<std::vector<Element>> allreduce_async(const std::vector<Element>& elements, Reduction reduction,
                                                    Timeout timeout = {}) {
    return future_elements<Element>(begin_allreduce(elements.data(), elements.size(), reduction, timeout));
  }
  template <typename Element>
  Handle begin_allreduce(const Element* elements, std::size_t count, Reduction reduction, Timeout timeout = {}) {
    return begin(reduction_call(Kind::allreduce, -1, elements, count, reduction, timeout));
  }

  // The vectors are divided into one block for each rank, in the order of ranks; each gets its own block of the result.
  // All blocks have the same size, so the number of elements must be a multiple of the number of ranks (else misuse).
  // Every run gives the same bits, but not always those of allreduce: elements of short vectors (less than 4 KiB for
  // each rank) are combined in its order, of longer ones in the order of ranks. For these a rank holds as many bytes
  // as two of the vectors for a while.
  template <typename Element>
  std::vector<Element> reduce_scatter(const std::vector<Element>& elements, Reduction reduction, Timeout timeout = {}) {
    return run(reduction_call(Kind::reduce_scatter, -1, elements.data(), elements.size(), reduction, timeout))
        .template elements<Element>();
  }
  template <typename Element>
  std::future<std::vector<Element>> reduce_scatter_async(const std::vector<Element>& elements, Reduction reduction,
                                                         Timeout timeout = {}) {
    return future_elements<Element>(begin_reduce_scatter(elements.data(), elements.size(), reduction, timeout));
  }
  template <typename Element>
  Handle begin_reduce_scatter(const Element* elements, std::size_t count, Reduction reduction, Timeout timeout = {}) {
    return begin(reduction_call(Kind::reduce_scatter, -1, elements, count, reduction, timeout));
  }
  // The same with blocks of any size: counts[i] elements for rank i, which may be none. There is one for each rank,
  // they add up to the number of elements (else misuse), and all ranks give the same ones (else ErrorCode::mismatch).
  template <typename Element>
  std::vector<Element> reduce_scatter(const std::vector<Element>& elements, const std::vector<std::size_t>& counts,
                                      Reduction reduction, Timeout timeout = {}) {
    return run(scatter_call(elements.data(), elements.size(), counts, reduction, timeout)).template elements<Element>();
  }
  template <typename Element>
  std::future<std::vector<Element>> reduce_scatter_async(const std::vector<Element>& elements,
                                                         const std::vector<std::size_t>& counts, Reduction reduction,
                                                         Timeout timeout = {}) {
    return future_elements<Element>(begin_reduce_scatter(elements.data(), elements.size(), counts, reduction, timeout));
  }
  template <typename Element>
  Handle begin_reduce_scatter(const Element* elements, std::size_t count, const std::vector<std::size_t>& counts,
                              Reduction reduction, Timeout timeout = {}) {
    return begin(scatter_call(elements, count, counts, reduction, timeout));
  }

  // What the vectors of ranks 0 to this one give, combined in the order of ranks; every run gives the same bits.
  template <typename Element>
  std::vector<Element> scan(const std::vector<Element>& elements, Reduction reduction, Timeout timeout = {}) {
    return run(reduction_call(Kind::scan, -1, elements.data(), elements.size(), reduction, timeout))
        .template elements<Element>();
  }
  template <typename Element>
  std::future<std::vector<Element>> scan_async(const std::vector<Element>& elements, Reduction reduction,
                                               Timeout timeout = {}) {
    return future_elements<Element>(begin_scan(elements.data(), elements.size(), reduction, timeout));
  }
  template <typename Element>
  Handle begin_scan(const Element* elements, std::size_t count, Reduction reduction, Timeout timeout = {}) {
    return begin(reduction_call(Kind::scan, -1, elements, count, reduction, timeout));
  }

  // The same without this one: of ranks 0 to the one before. At rank 0, which has none before it, an empty vector.
  template <typename Element>
  std::vector<Element> exclusive_scan(const std::vector<Element>& elements, Reduction reduction, Timeout timeout = {}) {
    return run(reduction_call(Kind::exclusive_scan, -1, elements.data(), elements.size(), reduction, timeout))
        .template elements<Element>();
  }
  template <typename Element>
  std::future<std::vector<Element>> exclusive_scan_async(const std::vector<Element>& elements, Reduction reduction,
                                                         Timeout timeout = {}) {
    return future_elements<Element>(begin_exclusive_scan(elements.data(), elements.size(), reduction, timeout));
  }
  template <typename Element>
  Handle begin_exclusive_scan(const Element* elements, std::size_t count, Reduction reduction, Timeout timeout = {}) {
    return begin(reduction_call(Kind::exclusive_scan, -1, elements, count, reduction, timeout));
  }

  // ---- Messages between two ranks -----------------------------------------------------------------------------------

  // Returns when `target` has taken the message: a recv of it has been posted there, or it lies in the memory that the
  // target keeps for messages that it has not asked for yet. A rank may send to itself.
  void send(int target, MessageView message, std::uint32_t tag = 0, Timeout timeout = {}) {
    run({Kind::send, timeout, target, message, nullptr, tag});
  }
  std::future<void> send_async(int target, MessageView message, std::uint32_t tag = 0, Timeout timeout = {}) {
    return future_done(begin_send(target, message, tag, timeout));
  }
  Handle begin_send(int target, MessageView message, std::uint32_t tag = 0, Timeout timeout = {}) {
    return begin({Kind::send, timeout, target, message, nullptr, tag});
  }

  // The oldest message of `source` with this tag that no other recv has: `recv(3)` as a std::string,
  // `recv<std::vector<std::byte>>(3)` as bytes.
  template <typename Message = std::string, typename = detail::IfMessage<Message>>
  Message recv(int source, std::uint32_t tag = 0, Timeout timeout = {}) {
    return run({Kind::recv, timeout, source, {}, nullptr, tag}).template message<Message>();
  }
  template <typename Message = std::string, typename = detail::IfMessage<Message>>
  std::future<Message> recv_async(int source, std::uint32_t tag = 0, Timeout timeout = {}) {
    return future_message<Message>(begin_recv(source, tag, timeout));
  }
  Handle begin_recv(int source, std::uint32_t tag = 0, Timeout timeout = {}) {
    return begin({Kind::recv, timeout, source, {}, nullptr, tag});
  }

  // The first message with this tag from any rank that no other recv has, and who sent it: (source, message). A recv of
  // its source that was called earlier has it first. That others have closed does not end it: its deadline does, or the
  // end of the job.
  template <typename Message = std::string, typename = detail::IfMessage<Message>>
  std::pair<int, Message> recv_any(std::uint32_t tag = 0, Timeout timeout = {}) {
    return from_any<Message>(run({Kind::recv_any, timeout, -1, {}, nullptr, tag}));
  }
  template <typename Message = std::string, typename = detail::IfMessage<Message>>
  std::future<std::pair<int, Message>> recv_any_async(std::uint32_t tag = 0, Timeout timeout = {}) {
    return detail::future_of(begin_recv_any(tag, timeout), [](const Handle& done) { return from_any<Message>(done); });
  }
  // Handle::source() says who sent it.
  Handle begin_recv_any(std::uint32_t tag = 0, Timeout timeout = {}) {
    return begin({Kind::recv_any, timeout, -1, {}, nullptr, tag});
  }

  // The message that a recv with this source and tag would bring, if one has been announced here that no recv has yet.
  // Returns at once and takes nothing, so it has one form only. Throws Error (rank_left) if there is none and the
  // source has closed; of a rank that is no neighbour in the tree it learns that after some seconds of asking.
  std::optional<MessageInfo> probe(int source, std::uint32_t tag = 0) {
    return found_by(run({Kind::probe, {}, source, {}, nullptr, tag}), tag);
  }
  // The same for the message that a recv_any would bring.
  std::optional<MessageInfo> probe_any(std::uint32_t tag = 0) {
    return found_by(run({Kind::probe_any, {}, -1, {}, nullptr, tag}), tag);
  }

  // Sends to `target` and receives from `source` at the same time, so that nobody waits for another's turn where ranks
  // do so in a ring. The deadline is that of each of the two; if one fails, the other goes on. For other forms begin
  // the two, one after the other.
  template <typename Message = std::string, typename = detail::IfMessage<Message>>
  Message sendrecv(int target, MessageView message, int source, std::uint32_t tag = 0, Timeout timeout = {}) {
    expect_may_run({Kind::recv, timeout, source});
    const Handle sent = begin_send(target, message, tag, timeout);
    Message received = recv<Message>(source, tag, timeout);
    sent.wait();
    return received;
  }

  // Makes a connection to `peer` for the messages between the two, before there is enough to send that one is made
  // anyway (Options::direct_links); returns when it is open. Not needed for anything: without one, or when this fails,
  // other ranks pass messages on. Returns at once if there is one, if the two are neighbours in the tree, and for this
  // rank itself. One that is idle may be closed again for another. Throws Error: unreachable (why, and that messages
  // are routed), rank_left, timed_out.
  void connect(int peer, Timeout timeout = {}) { run({Kind::connect, timeout, peer}); }
  std::future<void> connect_async(int peer, Timeout timeout = {}) { return future_done(begin_connect(peer, timeout)); }
  Handle begin_connect(int peer, Timeout timeout = {}) { return begin({Kind::connect, timeout, peer}); }

  // ---- A store of keys and values -----------------------------------------------------------------------------------
  // Small things by name, for all ranks of the job, in communicators too. Each key is kept by one of them, which
  // follows from the key, so that no rank serves all others; it may be this one. What a rank keeps ends with its
  // close(): where others still need it, meet in a barrier() before. A key has 1 byte to 1 KiB, a value at most 14 KiB
  // (ErrorCode::too_large), and what one rank keeps Options::store_bytes (too_large, naming the keeper). An error names
  // the key, its keeper and the host.
  //
  // The keeper carries out one operation after the other, and those of one rank on one key in the order of its calls.
  // Any number may be begun: of one rank at one keeper 64 are under way, and besides 64 gets wait there for their key.
  // What times out may have been done all the same; what() says so.

  // Replaces what was there. Returns when the keeper has it.
  void put(std::string_view key, MessageView value, Timeout timeout = {}) {
    run(store_call(Kind::put, key, timeout, value));
  }
  std::future<void> put_async(std::string_view key, MessageView value, Timeout timeout = {}) {
    return future_done(begin_put(key, value, timeout));
  }
  Handle begin_put(std::string_view key, MessageView value, Timeout timeout = {}) {
    return begin(store_call(Kind::put, key, timeout, value));
  }

  // The value of the key, as soon as there is one.
  template <typename Message = std::string, typename = detail::IfMessage<Message>>
  Message get(std::string_view key, Timeout timeout = {}) {
    return run(store_call(Kind::get, key, timeout)).template message<Message>();
  }
  template <typename Message = std::string, typename = detail::IfMessage<Message>>
  std::future<Message> get_async(std::string_view key, Timeout timeout = {}) {
    return future_message<Message>(begin_get(key, timeout));
  }
  Handle begin_get(std::string_view key, Timeout timeout = {}) { return begin(store_call(Kind::get, key, timeout)); }

  // The value of the key if there is one now. It is asked for at the keeper, but not waited for there.
  template <typename Message = std::string, typename = detail::IfMessage<Message>>
  std::optional<Message> find(std::string_view key, Timeout timeout = {}) {
    return value_at<Message>(run(store_call(Kind::find, key, timeout)), 0);
  }
  template <typename Message = std::string, typename = detail::IfMessage<Message>>
  std::future<std::optional<Message>> find_async(std::string_view key, Timeout timeout = {}) {
    return detail::future_of(begin_find(key, timeout), [](const Handle& done) { return value_at<Message>(done, 0); });
  }
  // Brings one message, or none.
  Handle begin_find(std::string_view key, Timeout timeout = {}) { return begin(store_call(Kind::find, key, timeout)); }

  // Adds to the counter with this key, which starts at 0, and returns what it is then; it wraps around. What put or
  // compare_set has put there is no counter (ErrorCode::mismatch). get and find see a counter as the 8 bytes of a
  // std::int64_t.
  std::int64_t add(std::string_view key, std::int64_t delta, Timeout timeout = {}) {
    return run(store_call(Kind::add, key, timeout, {}, nullptr, delta)).value<std::int64_t>();
  }
  std::future<std::int64_t> add_async(std::string_view key, std::int64_t delta, Timeout timeout = {}) {
    return future_value<std::int64_t>(begin_add(key, delta, timeout));
  }
  Handle begin_add(std::string_view key, std::int64_t delta, Timeout timeout = {}) {
    return begin(store_call(Kind::add, key, timeout, {}, nullptr, delta));
  }

  // Puts `desired` if what is there is `expected`, byte for byte; std::nullopt: if nothing is there.
  template <typename Message = std::string, typename = detail::IfMessage<Message>>
  Exchanged<Message> compare_set(std::string_view key, std::optional<MessageView> expected, MessageView desired,
                                 Timeout timeout = {}) {
    return exchanged<Message>(
        run(store_call(Kind::compare_set, key, timeout, desired, expected ? &*expected : nullptr)));
  }
  template <typename Message = std::string, typename = detail::IfMessage<Message>>
  std::future<Exchanged<Message>> compare_set_async(std::string_view key, std::optional<MessageView> expected,
                                                    MessageView desired, Timeout timeout = {}) {
    return detail::future_of(begin_compare_set(key, expected, desired, timeout),
                             [](const Handle& done) { return exchanged<Message>(done); });
  }
  // Brings a bool, whether it was set, and then the value that is there now, if there is one.
  Handle begin_compare_set(std::string_view key, std::optional<MessageView> expected, MessageView desired,
                           Timeout timeout = {}) {
    return begin(store_call(Kind::compare_set, key, timeout, desired, expected ? &*expected : nullptr));
  }

  // Whether it was there.
  bool remove(std::string_view key, Timeout timeout = {}) {
    return run(store_call(Kind::remove, key, timeout)).value<bool>();
  }
  std::future<bool> remove_async(std::string_view key, Timeout timeout = {}) {
    return future_value<bool>(begin_remove(key, timeout));
  }
  Handle begin_remove(std::string_view key, Timeout timeout = {}) {
    return begin(store_call(Kind::remove, key, timeout));
  }

  // ---- The same for values (trivially copyable objects) -------------------------------------------------------------
  // Their begin_ form is the one of the messages, with MessageView::of(value) and Handle::value().

  template <typename Value>
  void broadcast_value(int root, Value& value, Timeout timeout = {}) {
    const Handle done = run({Kind::broadcast, timeout, root, rank() == root ? MessageView::of(value) : MessageView()});
    if (rank() != root) value = done.value<Value>();
  }
  template <typename Value>
  std::future<Value> broadcast_value_async(int root, const Value& value, Timeout timeout = {}) {
    return future_value<Value>(begin_broadcast(root, MessageView::of(value), timeout));
  }

  // One value per rank.
  template <typename Value>
  std::vector<Value> allgather_value(const Value& value, Timeout timeout = {}) {
    return run({Kind::allgather, timeout, -1, MessageView::of(value)}).template values<Value>();
  }
  template <typename Value>
  std::future<std::vector<Value>> allgather_value_async(const Value& value, Timeout timeout = {}) {
    return future_values<Value>(begin_allgather(MessageView::of(value), timeout));
  }

  template <typename Value>
  std::vector<Value> gather_value(int root, const Value& value, Timeout timeout = {}) {
    return run({Kind::gather, timeout, root, MessageView::of(value)}).template values<Value>();
  }
  template <typename Value>
  std::future<std::vector<Value>> gather_value_async(int root, const Value& value, Timeout timeout = {}) {
    return future_values<Value>(begin_gather(root, MessageView::of(value), timeout));
  }

  // values[i] of `root` goes to rank i.
  template <typename Value>
  Value scatter_value(int root, const std::vector<Value>& values, Timeout timeout = {}) {
    const auto views = detail::value_views_of(values);
    return run({Kind::scatter, timeout, root, {}, &views}).template value<Value>();
  }
  template <typename Value>
  std::future<Value> scatter_value_async(int root, const std::vector<Value>& values, Timeout timeout = {}) {
    return future_value<Value>(begin_scatter(root, detail::value_views_of(values), timeout));
  }

  // values[i] goes to rank i; one comes from each rank.
  template <typename Value>
  std::vector<Value> alltoall_value(const std::vector<Value>& values, Timeout timeout = {}) {
    const auto views = detail::value_views_of(values);
    return run({Kind::alltoall, timeout, -1, {}, &views}).template values<Value>();
  }
  template <typename Value>
  std::future<std::vector<Value>> alltoall_value_async(const std::vector<Value>& values, Timeout timeout = {}) {
    return future_values<Value>(begin_alltoall(detail::value_views_of(values), timeout));
  }

  template <typename Value>
  void send_value(int target, const Value& value, std::uint32_t tag = 0, Timeout timeout = {}) {
    send(target, MessageView::of(value), tag, timeout);
  }
  template <typename Value>
  std::future<void> send_value_async(int target, const Value& value, std::uint32_t tag = 0, Timeout timeout = {}) {
    return send_async(target, MessageView::of(value), tag, timeout);
  }
  template <typename Value>
  Value recv_value(int source, std::uint32_t tag = 0, Timeout timeout = {}) {
    return run({Kind::recv, timeout, source, {}, nullptr, tag}).template value<Value>();
  }
  template <typename Value>
  std::future<Value> recv_value_async(int source, std::uint32_t tag = 0, Timeout timeout = {}) {
    return future_value<Value>(begin_recv(source, tag, timeout));
  }

  template <typename Value>
  void put_value(std::string_view key, const Value& value, Timeout timeout = {}) {
    put(key, MessageView::of(value), timeout);
  }
  template <typename Value>
  Value get_value(std::string_view key, Timeout timeout = {}) {
    return run(store_call(Kind::get, key, timeout)).template value<Value>();
  }

 private:
  using Kind = detail::Call::Kind;

  Handle run(const detail::Call& call) const;    // blocks until it is done; throws if it failed
  Handle begin(const detail::Call& call) const;  // and lets the background thread carry it on
  void copy_blob(const detail::Call& call, const std::function<void*(std::size_t)>& resize) const;

  class Implementation;
  explicit HierarchicalBootstrap(std::unique_ptr<Implementation> implementation);
  HierarchicalBootstrap& group_for_barrier(std::vector<int> ranks);
  static detail::Call split_call(int color, int key, Timeout timeout) {
    detail::Call call{Kind::split, timeout};
    call.color = color;
    call.order = key;
    return call;
  }

  // Throws what run() would throw before it begins anything.
  void expect_may_run(const detail::Call& call) const;
  template <typename Message>
  static std::pair<int, Message> from_any(const Handle& done) {
    return {done.source(), done.message<Message>()};
  }
  static std::optional<MessageInfo> found_by(const Handle& done, std::uint32_t tag) {
    if (done.size() == 0) return std::nullopt;
    return MessageInfo{done.source(), tag, static_cast<std::size_t>(done.value<std::uint64_t>())};
  }

  static detail::Call store_call(Kind kind, std::string_view key, Timeout timeout, MessageView value = {},
                                 const MessageView* expected = nullptr, std::int64_t delta = 0) {
    detail::Call call{kind, timeout, -1, value};
    call.key = key;
    call.expected = expected;
    call.delta = delta;
    return call;
  }
  template <typename Message>
  static std::optional<Message> value_at(const Handle& done, std::size_t index) {
    if (done.message_count() <= index) return std::nullopt;
    return done.message<Message>(index);
  }
  template <typename Message>
  static Exchanged<Message> exchanged(const Handle& done) {
    return {done.value<bool>(0), value_at<Message>(done, 1)};
  }

  // Only the root's message is looked at, so only the root's is copied.
  template <typename Message>
  MessageView view_at(int root, const Message& message) const {
    return rank() == root ? MessageView(message) : MessageView();
  }
  template <typename Element>
  static detail::Call reduction_call(Kind kind, int root, const Element* elements, std::size_t count,
                                     Reduction reduction, Timeout timeout) {
    return {kind,    timeout, root,      {elements, count * sizeof(Element)},
            nullptr, 0,       reduction, detail::element_type<Element>(),
            count};
  }
  template <typename Element>
  static detail::Call scatter_call(const Element* elements, std::size_t count, const std::vector<std::size_t>& counts,
                                   Reduction reduction, Timeout timeout) {
    detail::Call call = reduction_call(Kind::reduce_scatter, -1, elements, count, reduction, timeout);
    call.counts = &counts;
    return call;
  }
  static std::future<void> future_done(const Handle& handle) {
    return detail::future_of(handle, [](const Handle& done) { done.wait(); });
  }
  template <typename Message>
  static std::future<Message> future_message(const Handle& handle) {
    return detail::future_of(handle, [](const Handle& done) { return done.message<Message>(); });
  }
  template <typename Message>
  static std::future<std::vector<Message>> future_messages(const Handle& handle) {
    return detail::future_of(handle, [](const Handle& done) { return done.messages<Message>(); });
  }
  template <typename Value>
  static std::future<Value> future_value(const Handle& handle) {
    return detail::future_of(handle, [](const Handle& done) { return done.value<Value>(); });
  }
  template <typename Value>
  static std::future<std::vector<Value>> future_values(const Handle& handle) {
    return detail::future_of(handle, [](const Handle& done) { return done.values<Value>(); });
  }
  template <typename Element>
  static std::future<std::vector<Element>> future_elements(const Handle& handle) {
    return detail::future_of(handle, [](const Handle& done) { return done.elements<Element>(); });
  }

  std::unique_ptr<Implementation> implementation_;
};

}  // namespace banyan

#ifndef BANYAN_NO_BOOTSTRAP_ALIAS
namespace bootstrap = banyan;  // NOLINT(misc-unused-alias-decls)
#endif
