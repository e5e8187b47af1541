// The blobs that this rank has fetched from others, where the table is lazy: those used last, within a limit of bytes.
#pragma once

#include <cstddef>
#include <list>
#include <map>
#include <optional>

#include "base/bytes.hh"
#include "base/ids.hh"
#include "base/limits.hh"

namespace banyan::api {

class BlobCache {
 public:
  explicit BlobCache(std::size_t most_bytes = kFetchedBlobBytes) : most_bytes_(most_bytes) {}
  BlobCache(const BlobCache&) = delete;
  BlobCache& operator=(const BlobCache&) = delete;

  // Copies the blob, which may be a small part of what has been received. Those used longest ago make room.
  void keep(Rank owner, const Payload& blob);
  std::optional<Payload> find(Rank owner);

 private:
  struct Entry {
    Rank owner{};
    Payload blob;
    std::size_t cost() const { return blob.size() + kFetchedBlobEntryBytes; }
  };
  using Entries = std::list<Entry>;

  const std::size_t most_bytes_;
  std::size_t bytes_ = 0;
  Entries entries_;  // the one used last first
  std::map<Rank, Entries::iterator> by_owner_;
};

}  // namespace banyan::api
