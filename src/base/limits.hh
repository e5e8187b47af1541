// Every limit of the protocol, with the reason for its value. A limit that two sides must agree on is a
// constant; what one process may choose for itself is a field of Limits.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/time.hh"

namespace banyan {

// The greatest frame of most kinds, header included: long messages are cut, so that control frames can overtake them.
inline constexpr std::size_t kMaxFrameBytes = 64 * 1024;
// Data frames carry this much: a power of two, so that the fixed records of a table never straddle two chunks,
// and a multiple of every element size, so that reductions work chunk by chunk.
inline constexpr std::size_t kChunkBytes = 32 * 1024;
// On a direct link nothing waits behind a message's frame but what the same two ranks have to say: 0.08 ms at 25 Gb/s,
// for an eighth of the frames.
inline constexpr std::size_t kDirectChunkBytes = 256 * 1024;
inline constexpr std::size_t kMaxDirectFrameBytes = kDirectChunkBytes + 1024;
// A stream that many ranks are given whole (the table, a broadcast's message, an allgather's result) is cut into so
// many chunks at most, as long as they are no larger than the greatest: each costs every rank that passes it on some
// microseconds, and a tree of some levels works side by side with far fewer.
inline constexpr std::uint64_t kStreamChunks = 64;
// 0.3 ms at 25 Gb/s: what a control frame waits for, beside what is with the driver already (engine/link.hh).
inline constexpr std::size_t kGreatestChunkBytes = 1024 * 1024;
// The chunks of such a stream: a power of two.
constexpr std::size_t stream_chunk_bytes(std::uint64_t total) {
  std::size_t bytes = kChunkBytes;
  while (bytes < kGreatestChunkBytes && bytes * kStreamChunks < total) bytes *= 2;
  return bytes;
}
// The greatest frame of a kind that carries such streams: a chunk and what stands before it.
inline constexpr std::size_t kMaxStreamFrameBytes = kGreatestChunkBytes + 1024;
static_assert(stream_chunk_bytes(0) == kChunkBytes && stream_chunk_bytes(kStreamChunks * kChunkBytes) == kChunkBytes);
static_assert(stream_chunk_bytes(kStreamChunks * kChunkBytes + 1) == 2 * kChunkBytes);
static_assert(stream_chunk_bytes(kStreamChunks * kGreatestChunkBytes) == kGreatestChunkBytes);
static_assert(stream_chunk_bytes(UINT64_MAX) == kGreatestChunkBytes);
// A relay hands a table up to this size to the ranks of its host in one go, when it has all of it; a larger one chunk
// by chunk. It is about what a Unix socket takes.
inline constexpr std::size_t kTableAtOnceBytes = 192 * 1024;
// Enclosures of one link that have come before the frames that they belong to.
inline constexpr std::size_t kMostEnclosures = 8;
// Before a peer is authenticated it can't send a larger frame than this: the longest handshake message fits twice.
inline constexpr std::size_t kMaxUnauthenticatedFrameBytes = 512;
// A blob travels in one record frame; longer contributions belong in an allgather.
inline constexpr std::size_t kMaxBlobBytes = 32 * 1024;
// HOST_NAME_MAX on Linux is 64; fully qualified names are cut to this.
inline constexpr std::size_t kMaxHostNameBytes = 128;
// A sentence in an error that crosses the wire.
inline constexpr std::size_t kMaxTextBytes = 1024;
// Ranges in a list of missing ranks that crosses the wire; more are counted, not named.
inline constexpr std::size_t kMaxRangesOnWire = 64;
// 2^22 = 4 million ranks: a table of that size (with 128-byte blobs) is 0.7 GB; a larger N is a mistake.
inline constexpr std::uint32_t kMaxWorldSize = 1u << 22;
inline constexpr std::uint32_t kMinFanOut = 2;
inline constexpr std::uint32_t kMaxFanOut = 1024;
// Of how many ranks a second process is remembered, warned of and told to rank 0; beyond it they are refused all the
// same.
inline constexpr std::size_t kMostDuplicates = 64;
// A collective's payload up to this size travels with the vote; a larger one waits until all have called.
inline constexpr std::size_t kEagerCollectiveBytes = 64 * 1024;
// What all ranks together send to one with their votes, in a gather, an allgather or a reduction: 64 operations in
// flight then cost their collector 64 MiB, and about 130 bytes for each rank's part; 128 bytes stay eager up to 8,192
// ranks.
inline constexpr std::size_t kEagerManyToOneBytes = 1024 * 1024;
// How many collectives of a communicator a rank may start before the oldest is known to have been called by all.
inline constexpr std::uint32_t kMaxCollectivesInFlight = 64;
// Communicators beside the job's that a rank may be in at a time, and lists of ranks that it may make any of: each
// costs its members some kilobytes, and 4 bytes for each other.
inline constexpr std::size_t kMaxCommunicators = 4096;
// Lanes in which messages of one rank wait that this rank may have yet to ask for: three of each communicator that it
// has yet to make.
inline constexpr std::size_t kMaxUnaskedLanes = 3 * kMaxCommunicators;
// A message up to this size is sent without asking the target for room first.
inline constexpr std::size_t kEagerMessageBytes = 16 * 1024;
// Messages to one target that are announced and not yet accepted; more wait at the sender.
inline constexpr std::uint32_t kMaxMessagesInFlight = 16;
// Direct links that one rank may be allowed: half of what the descriptors of a process reach for on many systems.
inline constexpr int kMostDirectLinks = 10'000;
// A key of the store is a name, and a value (a compare_set's two together) what a card or an address needs; more
// belongs in messages. A request with both is sent unasked.
inline constexpr std::size_t kMaxStoreKeyBytes = 1024;
inline constexpr std::size_t kMaxStoreValueBytes = 14 * 1024;
// What a keeper counts for each key beside its bytes and its value's: nodes and headers.
inline constexpr std::size_t kStoreEntryBytes = 256;
// Requests of one rank to one keeper that have not been answered, and its gets that wait there besides; more of each
// wait at the asker. Waiting keys then cost a keeper 64 KiB for each rank at the most.
inline constexpr std::uint32_t kMaxStoreRequests = 64;
inline constexpr std::uint32_t kMaxStoreWaits = 64;
// Blobs that one rank has asked for and not got, where the table is lazy; more wait at the asker. At 100 us for the way
// there and back, that is more than half a million in a second.
inline constexpr std::uint32_t kMaxBlobRequests = 64;
// Of the blobs that a rank has fetched it keeps those used last: 16,000 of 128 bytes. Each counts for its bytes and
// these besides, for nodes and headers.
inline constexpr std::size_t kFetchedBlobBytes = 4 * 1024 * 1024;
inline constexpr std::size_t kFetchedBlobEntryBytes = 128;
// The greatest single message: a bootstrap exchanges control data, not tensors; the limit catches mistakes.
inline constexpr std::uint64_t kMaxMessageBytes = 1ull << 32;

struct Limits {
  // Bytes that came for this rank before it asked for them, over all sources.
  std::size_t unexpected_bytes = 4 * 1024 * 1024;
  // Bytes of one message that may be on their way to a posted receive: covers 25 Gb/s x 300 us.
  std::size_t message_window_bytes = 1024 * 1024;
  // Bytes waiting to be written on one link before the node stops reading what feeds it (beyond two of the longest
  // frames), and resumes.
  std::size_t transmit_high_bytes = 2 * kMaxStreamFrameBytes;
  std::size_t transmit_low_bytes = 256 * 1024;
  // A link that keeps others from being read and takes not a byte for so long is lost: those others carry verdicts too,
  // and don't show their own death. An engine that runs reads within milliseconds, whatever its application computes.
  Duration stall_timeout = std::chrono::seconds(20);
  // From this size on (not 0), bytes that all ranks of a host are given are put into memory that they share; below it,
  // copies through the socket cost less than a mapping.
  std::size_t enclose_bytes = 64 * 1024;
  // Connections that have not proved yet who they are: of each rank, and of those in a process that have not said which
  // rank they are for. Beyond it the oldest is turned away: an honest
  // peer needs its slot for a few milliseconds.
  std::size_t unauthenticated_links = 4096;
  // How long an accepted connection may take to prove who it is.
  Duration handshake_timeout = std::chrono::seconds(5);
  // How long the side that connects waits for the answer to its hello before it tries again: an overflowed accept
  // queue can look connected, and a retry costs little. Doubled on every further try.
  Duration handshake_reply_timeout = std::chrono::milliseconds(500);
  // The first wait before connecting again; doubled up to the greatest, each with jitter of a half.
  Duration retry_first = std::chrono::milliseconds(1);
  Duration retry_greatest = std::chrono::milliseconds(100);
  // How long the ranks of rank 0's host wait for it to lead them before one of them does: it would stand alone, and be
  // given every stream by another process.
  Duration root_head_start = std::chrono::milliseconds(200);
  // Tries to reach the parent that a placement names before the child complains at the rendezvous.
  std::uint32_t parent_attempts = 6;
  // And for how long, since a parent that answers nothing takes a long time for each try.
  Duration parent_patience = std::chrono::seconds(2);
  // How long a computed parent is tried before the rendezvous is asked: hosts of one job start within seconds, and the
  // rendezvous is to be spared.
  Duration computed_patience = std::chrono::seconds(3);
  // How long a rank that has lost rank 0 before the table tries to reach it again, if nothing answers: a refused
  // connection ends it at once.
  Duration root_patience = std::chrono::seconds(1);
  // Placements that one process may ask for before it gives up.
  std::uint32_t placements = 8;
  // How long a place is kept for a process that was sent to another parent and has not registered.
  Duration lease = std::chrono::seconds(20);
  // How often those that wait are told who is missing.
  Duration status_interval = std::chrono::seconds(1);
  // After its own link broke, how long a rank waits for a verdict that names the first cause.
  Duration verdict_grace = std::chrono::milliseconds(200);
  // How long the root of a job that failed while it formed stays, to tell the ranks that come late; computed_patience
  // longer where parents are computed, since they are asked first.
  Duration verdict_linger = std::chrono::seconds(2);
  // Direct links that a rank may have; 0: none. Idle ones make room, the one used longest ago first; where all are in
  // use, messages to further ranks stay routed.
  std::uint32_t direct_links = 64;
  // What makes a direct link worth its three round trips: a message of so many bytes, or so many messages within the
  // window.
  std::size_t direct_bytes = 128 * 1024;
  std::uint32_t direct_messages = 16;
  Duration direct_window = std::chrono::seconds(1);
  // How long an attempt may take, and how long none is made by itself after one that failed.
  Duration direct_patience = std::chrono::seconds(5);
  Duration direct_rest = std::chrono::seconds(10);
  // Keys and values that this rank keeps for all: 16,000 ranks' cards of 700 bytes would fit at one.
  std::size_t store_bytes = 16 * 1024 * 1024;
  // Acknowledgements of a table ride on what goes up anyway, or go alone after this.
  Duration acknowledge_delay = std::chrono::milliseconds(100);
};

}  // namespace banyan
