#include "node/table_store.hh"

namespace banyan::node {

std::shared_ptr<const wire::Table> TableStore::take(std::vector<Payload> chunks, const Digest& digest,
                                                    std::uint32_t world_size, bool checked) {
  const std::shared_ptr<const wire::Table> known = digest == digest_ ? table_.lock() : nullptr;
  if (known && known->world_size() == world_size && known->has_bytes(chunks)) return known;
  if (!checked) {
    Payload whole;
    for (const Payload& chunk : chunks) whole.append(chunk);
    if (digest_of(whole) != digest) return nullptr;
  }
  std::shared_ptr<const wire::Table> table = wire::Table::from_wire(std::move(chunks), world_size);
  if (table) {
    table_ = table;
    digest_ = digest;
  }
  return table;
}

}  // namespace banyan::node
