// Gives this rank's blob to whoever asks for it, where the table is lazy. Each request is answered once.
#pragma once

#include <cstdint>
#include <map>

#include "base/limits.hh"
#include "node/message_requests.hh"

namespace banyan::node {

class BlobAnswerer {
 public:
  // Answers that one rank may not have taken: it has one request under way, and may have taken others without this rank
  // knowing it, since that came another way.
  static constexpr std::uint32_t kMostOwed = 1 + kMaxMessagesInFlight;

  // `messages` outlives this object.
  BlobAnswerer(MessageRequests& messages, Slice blob);

  // False: it is none of the answerer's.
  bool on_message(const MessageDone& done);

  // Answers that it has not taken.
  std::uint32_t owed(Rank asker) const;

 private:
  void receive();
  void on_request(Rank asker, const Payload& request);
  void stop();

  MessageRequests& messages_;
  const Payload blob_;
  std::map<Rank, std::uint32_t> owed_;  // none is 0
  std::map<CallId, Rank> answers_;      // that have not been taken
  CallId receive_{};                    // of the next request
};

}  // namespace banyan::node
