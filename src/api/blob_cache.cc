#include "api/blob_cache.hh"

namespace banyan::api {

void BlobCache::keep(Rank owner, const Payload& blob) {
  if (by_owner_.contains(owner)) return;  // they never change
  Payload copy(Slice::copy(blob.flatten().bytes()));
  entries_.push_front({owner, std::move(copy)});
  by_owner_[owner] = entries_.begin();
  bytes_ += entries_.front().cost();
  while (bytes_ > most_bytes_) {
    bytes_ -= entries_.back().cost();
    by_owner_.erase(entries_.back().owner);
    entries_.pop_back();
  }
}

std::optional<Payload> BlobCache::find(Rank owner) {
  const auto at = by_owner_.find(owner);
  if (at == by_owner_.end()) return std::nullopt;
  entries_.splice(entries_.begin(), entries_, at->second);
  return at->second->blob;
}

}  // namespace banyan::api
