// The strong types of the protocol: numbers that must never be mixed up with one another.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace banyan {

// A process's index in the job, 0 .. world size - 1.
enum class Rank : std::uint32_t {};
// A place in the tree of leaders; parent and children are arithmetic on it (tree/position.hh).
enum class Position : std::uint32_t {};
// Random id of one process's life as a rank: a restarted rank has another one.
enum class Incarnation : std::uint64_t {};
// Grows each time a rank attaches to a parent; the highest attachment wins.
enum class Attachment : std::uint32_t {};
// One connection, as the engine names it. Allotted by the engine, echoed by the driver, never reused.
enum class LinkId : std::uint64_t {};
// An accepted connection that no engine has adopted yet. Allotted by the driver.
enum class AcceptToken : std::uint64_t {};
// One call of the application. Allotted by the driver, echoed by the engine.
enum class CallId : std::uint64_t {};
// A group of ranks that run collectives together; 0 is the world.
enum class CommunicatorId : std::uint64_t {};
// Orders operations of a communicator, or messages of a (source, target) flow.
enum class Sequence : std::uint64_t {};

template <typename Enum>
constexpr auto raw(Enum value) {
  return static_cast<std::underlying_type_t<Enum>>(value);
}

template <typename Enum>
constexpr Enum next(Enum value) {
  return static_cast<Enum>(raw(value) + 1);
}

inline constexpr Rank kRootRank{0};
inline constexpr Rank kNoRank{0xffff'ffff};
// In a hello: "whoever speaks for this host", since a local rank can't know who won the race.
inline constexpr Rank kLeaderRank{0xffff'fffe};
inline constexpr Position kNoPosition{0xffff'ffff};
inline constexpr LinkId kNoLink{0};
inline constexpr CommunicatorId kWorld{0};

// Grows with every change of membership; a term belongs to one root.
struct Epoch {
  std::uint32_t term = 0;
  std::uint32_t number = 0;
  friend constexpr auto operator<=>(const Epoch&, const Epoch&) = default;
};

// Names one run of one program. All zero: not known yet (a job started by hand adopts rank 0's).
struct JobId {
  std::array<std::byte, 16> bytes{};
  friend constexpr auto operator<=>(const JobId&, const JobId&) = default;
  bool known() const { return *this != JobId{}; }
};

}  // namespace banyan
