#include "node/blob_answerer.hh"

#include <utility>
#include <variant>

#include "wire/blob.hh"

namespace banyan::node {

BlobAnswerer::BlobAnswerer(MessageRequests& messages, Slice blob) : messages_(messages), blob_(std::move(blob)) {
  receive();
}

std::uint32_t BlobAnswerer::owed(Rank asker) const {
  const auto at = owed_.find(asker);
  return at == owed_.end() ? 0 : at->second;
}

void BlobAnswerer::receive() { receive_ = messages_.receive(kNoRank, wire::kBlobRequests); }

bool BlobAnswerer::on_message(const MessageDone& done) {
  if (done.id == receive_) {
    const auto* request = std::get_if<Payload>(&done.result);
    if (request == nullptr) {
      stop();
    } else {
      on_request(done.source, *request);
      receive();
    }
    return true;
  }
  const auto answered = answers_.find(done.id);
  if (answered == answers_.end()) return false;
  const auto asker = owed_.find(answered->second);
  if (--asker->second == 0) owed_.erase(asker);
  answers_.erase(answered);
  return true;
}

// What no correct rank sends is ignored.
void BlobAnswerer::on_request(Rank asker, const Payload& request) {
  if (!request.empty() || owed(asker) >= kMostOwed) return;
  ++owed_[asker];
  answers_.emplace(messages_.send(asker, wire::kBlobAnswers, blob_), asker);
}

void BlobAnswerer::stop() {
  owed_.clear();
  answers_.clear();
}

}  // namespace banyan::node
