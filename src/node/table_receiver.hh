// Puts the chunks of a table together as they come down, and checks the whole against its digest.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "node/table_store.hh"
#include "wire/table.hh"

namespace banyan::node {

class TableReceiver {
 public:
  enum class Result : std::uint8_t { more, complete, broken };

  // `store`: of this process.
  TableReceiver(std::uint32_t world_size, std::shared_ptr<TableStore> store)
      : world_size_(world_size), store_(std::move(store)) {}

  // Chunks come in order; those that came before (after a new attachment) are passed over. `enclosed`: these are the
  // whole table.
  Result add(const wire::TableChunk& head, const Payload& bytes, bool enclosed);
  // After `complete`.
  std::shared_ptr<const wire::Table> take() { return std::move(table_); }

 private:
  // The greatest table that is believed: every rank's blob at its limit.
  static constexpr std::uint64_t kGreatestPerRank = kMaxBlobBytes + 1024;
  // A chunk that came in more than one piece for every so many bytes, and one, is copied into one: each would keep a
  // whole receive buffer alive.
  static constexpr std::size_t kLeastSlice = 32 * 1024;

  Result finish(std::vector<Payload> chunks, bool checked);

  std::uint32_t world_size_;
  std::shared_ptr<TableStore> store_;
  Digest digest_{};
  std::uint64_t total_ = 0;
  std::uint64_t received_ = 0;
  std::vector<Payload> chunks_;
  std::shared_ptr<const wire::Table> table_;
};

}  // namespace banyan::node
