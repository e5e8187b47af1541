// What is asked of the rank that keeps a key, and what it answers (docs/protocol.md, "Store"). Both are messages
// between the two in Space::store: requests with the number 0, each answer with the number that its request names.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/bytes.hh"
#include "base/cursor.hh"
#include "base/limits.hh"
#include "wire/point_to_point.hh"

namespace banyan::wire {

constexpr Tag store_tag(std::uint32_t number) { return {number, Space::store}; }

struct StoreRequest {
  enum class What : std::uint8_t {
    put = 1,          // the value, whatever was there
    find = 2,         // what is there now
    wait = 3,         // the same, answered as soon as something is there
    add = 4,          // to the counter
    compare_set = 5,  // the value, if what is there is `expected`; none: if nothing is there
    remove = 6,
    forget = 7,  // the wait with this number: answer it now, if that has not been done
  };
  What what{};
  std::uint32_t number = 0;  // of the answer's tag; not 0
  std::string key;
  std::optional<Slice> expected;  // compare_set; together with
  Slice value;                    // put, compare_set: at most kMaxStoreValueBytes
  std::int64_t delta = 0;         // add

  void write(Writer& writer) const;
  void read(Reader& reader);
  Payload to_message() const;
};

// Behind it stands a value: what was found, the counter (8), or, of a compare_set that found another value, that.
struct StoreAnswer {
  static constexpr std::size_t kBytes = 1;
  enum class Status : std::uint8_t {
    done = 1,      // found, put, set, added, removed
    absent = 2,    // there is nothing; or a wait was forgotten
    differs = 3,   // compare_set: there is another value
    mismatch = 4,  // add: what is there is no counter
    full = 5,      // the keeper has no room for it
  };
  Status status{};

  // Which statuses bring bytes, and how many at most.
  bool carries(std::size_t tail_bytes) const;
  void write(Writer& writer) const { writer.number(status); }
  void read(Reader& reader);
  Payload to_message(const Payload& value) const;
};

// The longest of both, a compare_set.
inline constexpr std::size_t kMaxStoreMessageBytes = 12 + kMaxStoreKeyBytes + kMaxStoreValueBytes;
static_assert(kMaxStoreMessageBytes <= kEagerMessageBytes, "a request is sent whole in one frame (is_request)");

}  // namespace banyan::wire
