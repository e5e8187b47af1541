// The keeping side of the store: the values of the keys that are this rank's to keep, and who waits for which. Requests
// are carried out one at a time, in the order in which they come, and each is answered once.
//
// Whatever is asked of it, it holds no more than its limit of keys and values, kMaxStoreWaits waits of each rank, and
// answers that a rank has not taken; nobody who keeps to the windows ever has more than kMostOwed of the last two.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/limits.hh"
#include "node/message_requests.hh"
#include "node/topology.hh"
#include "wire/store.hh"

namespace banyan::node {

// The rank that keeps a key: the same for all who ask.
Rank keeper_of(std::string_view key, std::uint32_t world_size);

class StoreKeeper {
 public:
  // Waits unanswered, and answers that the asker's windows know of; beside these, such as the asker has taken and this
  // rank does not know it, since that came another way.
  static constexpr std::uint32_t kMostOwed = kMaxStoreRequests + kMaxStoreWaits + kMaxMessagesInFlight;

  // Both outlive this object.
  StoreKeeper(const Topology& topology, MessageRequests& messages, std::uint64_t limit_bytes);

  // False: it is none of the keeper's.
  bool on_message(const MessageDone& done);

  std::uint64_t kept_bytes() const { return kept_bytes_; }
  std::size_t waiting() const;
  // Answers that it has not taken.
  std::uint32_t owed(Rank asker) const;

 private:
  using Status = wire::StoreAnswer::Status;
  struct Value {
    Payload bytes;
    bool counter = false;  // put by add
  };
  struct Waiter {
    Rank asker{};
    std::uint32_t number = 0;
    friend bool operator==(const Waiter&, const Waiter&) = default;
  };
  struct Asker {
    std::uint32_t owed = 0;  // answers that it has not taken
    std::uint32_t waiting = 0;
  };

  void on_request(Rank asker, wire::StoreRequest request);
  void wait(Rank asker, const wire::StoreRequest& request);
  void forget(Rank asker, const wire::StoreRequest& request);
  void add(Rank asker, const wire::StoreRequest& request);
  void compare_set(Rank asker, const wire::StoreRequest& request);
  bool remove(const std::string& key);
  // False: there is no room. Wakes those who wait.
  bool store(const std::string& key, Value value);
  void wake(const std::string& key, const Payload& value);
  const Value* find(const std::string& key) const;
  void answer(Rank asker, std::uint32_t number, Status status, const Payload& value = {});
  void stop();

  const Topology& topology_;
  MessageRequests& messages_;
  const std::uint64_t limit_bytes_;
  std::uint64_t kept_bytes_ = 0;
  std::map<std::string, Value> values_;
  std::map<std::string, std::vector<Waiter>> waiters_;  // by key, none is empty; oldest first
  std::map<Rank, Asker> askers_;                        // those who are owed something
  std::map<CallId, Rank> answers_;                      // that have not been taken
  CallId receive_;                                      // of the next request
};

}  // namespace banyan::node
