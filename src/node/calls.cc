// What can be said of a call by itself.
#include "node/calls.hh"

#include <fmt/format.h>

#include "base/limits.hh"

namespace banyan::node {

const char* StoreCall::name() const {
  switch (what) {
    case What::put: return "put";
    case What::get: return "get";
    case What::find: return "find";
    case What::add: return "add";
    case What::compare_set: return "compare_set";
    case What::remove: break;
  }
  return "remove";
}

std::optional<Failure> StoreCall::misuse() const {
  const auto refusal = [this](FailureCode code, const std::string& text) {
    return Failure{code, Phase::running, {}, {}, fmt::format("{}(): {}", name(), text)};
  };
  if (key.empty()) return refusal(FailureCode::misuse, "the key is empty");
  if (key.size() > kMaxStoreKeyBytes)
    return refusal(FailureCode::too_large,
                   fmt::format("the key has {} bytes and may have {}", key.size(), kMaxStoreKeyBytes));
  const std::size_t bytes = value.size() + (expected ? expected->size() : 0);
  if (bytes > kMaxStoreValueBytes)
    return refusal(FailureCode::too_large,
                   fmt::format("the value{} {} bytes and may have {}: send more by messages",
                               expected ? " and what is expected have" : " has", bytes, kMaxStoreValueBytes));
  return std::nullopt;
}

}  // namespace banyan::node
