// How a rank asks another one for its blob where the table is lazy (docs/protocol.md, "Table"): by messages between the
// two in Space::table. A request has no bytes, and its answer is the blob.
#pragma once

#include "wire/point_to_point.hh"

namespace banyan::wire {

inline constexpr Tag kBlobRequests{0, Space::table};
inline constexpr Tag kBlobAnswers{1, Space::table};

}  // namespace banyan::wire
