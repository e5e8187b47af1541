#include "node/collective_entries.hh"

#include <array>

namespace banyan::node {

Payload unpinned(Payload bytes) {
  if (bytes.empty() || bytes.size() >= kCopyBelowBytes) return bytes;
  std::vector<std::byte> copy(bytes.size());
  bytes.copy_to(copy.data());
  return Payload(Slice::adopt(std::move(copy)));
}

std::optional<Entry> read_entry(PayloadCursor& cursor, std::uint32_t world_size) {
  if (cursor.remaining() < Entry::kBytes) return std::nullopt;
  std::array<std::byte, Entry::kBytes> header;
  cursor.read(header.data(), header.size());
  Reader reader(header);
  Entry entry;
  entry.read(reader);
  const bool exists = raw(entry.rank) < world_size && entry.bytes <= cursor.remaining();
  return reader.finished() && exists ? std::optional(entry) : std::nullopt;
}

std::optional<std::uint64_t> bytes_of_entries(const Payload& tail, std::uint32_t world_size) {
  if (tail.empty() || tail.size() > kMaxCollectiveTail) return std::nullopt;
  std::uint64_t bytes = 0;
  PayloadCursor cursor(tail);
  while (cursor.remaining() > 0) {
    const auto entry = read_entry(cursor, world_size);
    if (!entry) return std::nullopt;
    cursor.skip(entry->bytes);
    bytes += entry->bytes;
  }
  return bytes;
}

Payload EntryPacker::take() {
  if (small_) ready_.append(std::move(*small_).finish());
  small_.reset();
  return std::exchange(ready_, {});
}

void EntryPacker::append(const Entry& entry, const Payload& bytes) {
  if (!small_) small_.emplace(Entry::kBytes + std::min(bytes.size(), kCopyBelowBytes));
  entry.write(*small_);
  append(bytes);
}

void EntryPacker::append(const Payload& bytes) {
  if (bytes.size() < kCopyBelowBytes) {
    if (!small_) small_.emplace(bytes.size());
    for (std::size_t i = 0; i < bytes.slice_count(); ++i) small_->raw_bytes(bytes.slice(i).bytes());
    return;
  }
  if (small_) ready_.append(std::move(*small_).finish());
  small_.reset();
  ready_.append(bytes);
}

void EntryCollector::expect_all() {
  slots_.resize(world_size_);
  for (auto& [rank, slot] : early_) slots_[raw(rank)] = std::move(slot);
  early_ = {};
}

bool EntryCollector::accept(const Entry& entry, Payload bytes) {
  Slot& slot = slot_of(entry.rank);
  if (slot.total ? slot.bytes.size() == *slot.total || *slot.total != entry.total : entry.offset != 0) return false;
  if (entry.offset != slot.bytes.size()) return false;
  slot.total = entry.total;
  slot.bytes.append(bytes);
  if (slot.bytes.size() == entry.total) --missing_;
  return true;
}

void EntryCollector::put(Rank rank, Payload bytes) {
  Slot& slot = slot_of(rank);
  slot.total = bytes.size();
  slot.bytes = std::move(bytes);
  --missing_;
}

Payload EntryCollector::entries() const {
  Payload entries;
  for (std::uint32_t rank = 0; rank < slots_.size(); ++rank) {
    const Slot& slot = slots_[rank];
    if (!slot.total || slot.bytes.size() != *slot.total) continue;
    Writer header(Entry::kBytes);
    Entry{Rank{rank}, static_cast<std::uint32_t>(*slot.total), 0, *slot.total}.write(header);
    entries.append(std::move(header).finish());
    entries.append(slot.bytes);
  }
  return entries;
}

std::vector<Payload> EntryCollector::take() {
  std::vector<Payload> parts;
  parts.reserve(slots_.size());
  for (Slot& slot : slots_) parts.push_back(std::move(slot.bytes));
  slots_.clear();
  return parts;
}

}  // namespace banyan::node
