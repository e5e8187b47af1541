// What goes in at the engine's one door and what comes out of the other.
#pragma once

#include <cstdint>
#include <string>
#include <variant>

#include "base/bytes.hh"
#include "base/endpoint.hh"
#include "base/failure.hh"
#include "base/ids.hh"
#include "base/time.hh"
#include "node/calls.hh"
#include "node/io.hh"
#include "wire/frame.hh"

namespace banyan::engine {

namespace input {

// Begin to join. Exactly once, first.
struct Start {};
// A link that output::Connect asked for is open; `local` is this side's address (none on a Unix socket).
struct Connected {
  LinkId link{};
  Endpoint local;
};
// It could not be opened.
struct ConnectFailed {
  LinkId link{};
  std::string reason;
};
// A listener that output::Listen asked for stands. `endpoint`: where (none for a Unix name).
struct Listening {
  node::Listener listener{};
  Endpoint endpoint;
};
struct ListenFailed {
  node::Listener listener{};
  std::string reason;
};
// A connection whose first bytes name this engine's rank. The engine answers with output::Adopt and the link id.
// `remote` and `local` are the two ends (none on a Unix socket). The first bytes follow as BytesReceived.
struct Accepted {
  AcceptToken token{};
  node::Listener listener{};
  Endpoint local;
  Endpoint remote;
};
struct BytesReceived {
  LinkId link{};
  Slice bytes;
};
// What was handed over as output::Transmit::enclosure at the other side: not later than the first byte of the frame
// that it belongs to, and in the order of those frames.
struct Enclosed {
  LinkId link{};
  Payload bytes;
};
// Of the bytes that were handed over by output::Transmit on this link, so many are still waiting to be written.
// Sent whenever that number has fallen; `queued` = 0 when all are with the kernel.
struct Drained {
  LinkId link{};
  std::size_t queued = 0;
};
// The peer or the network closed the link (the driver has forgotten it). Not sent for output::Close.
struct Closed {
  LinkId link{};
  std::string reason;
};
// The driver has no descriptor for a new connection: the oldest that has not proved who it is makes room, if there is
// one.
struct MakeRoom {};
// Time has passed: nothing else happened before the deadline of the last output::Wait.
struct Tick {};

}  // namespace input

using Input = std::variant<input::Start, input::Connected, input::ConnectFailed, input::Listening, input::ListenFailed,
                           input::Accepted, input::BytesReceived, input::Enclosed, input::Drained, input::Closed,
                           input::MakeRoom, input::Tick, node::Call>;

namespace output {

// Take the connection `token` as `link` from now on.
struct Adopt {
  AcceptToken token{};
  LinkId link{};
};
// Write these bytes on the link, in order. The driver keeps what the kernel does not take at once, counts it, and
// reports with input::Drained when it shrinks. The slices stay shared: no copy is made for sending.
struct Transmit {
  LinkId link{};
  Payload bytes;
  // Local links only, and only if Config::share_memory: these go beside, in memory that both sides can read. The same
  // object on several links is put there once. What is not read counts for nothing in input::Drained.
  wire::Enclosure enclosure{};
};
// Close the link once what was handed over has been written (or at once when `abandon`); its id is dead for the engine.
struct Close {
  LinkId link{};
  bool abandon = false;
};
// Nothing to do until this time; kNever: until an input comes. A time that has passed means: as soon as the inputs that
// are ready now have been handed in (so that what they cause leaves in one piece).
struct Wait {
  Time deadline = kNever;
};

}  // namespace output

using Output = std::variant<output::Wait, output::Transmit, output::Close, output::Adopt, node::effect::Connect,
                            node::effect::Listen, node::effect::StopListening, node::effect::PauseReading,
                            node::effect::ResumeReading, node::effect::Formed, node::effect::Failed,
                            node::effect::Notice, node::Completion>;

}  // namespace banyan::engine
