// Frames for people: what a process has sent, one line for each frame, with the fields that say what it means
// ("placement position=5 parent=rank 2"). What is random (incarnations, nonces, codes, digests) is left out.
#pragma once

#include <string>
#include <vector>

#include "base/failure.hh"
#include "wire/frame.hh"

namespace banyan::sim {

// As it stands in the stream: what is enclosed goes beside it, and is not in `body`.
struct SentFrame {
  wire::Kind kind{};
  bool encloses = false;
  Payload body;
};

// The frames that `sent`, which ends with the last of them, consists of.
std::vector<SentFrame> frames_of(const Payload& sent);

std::string text_of(const SentFrame& frame);
std::string text_of(const Failure& failure);

}  // namespace banyan::sim
