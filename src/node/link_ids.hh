// Link ids of one engine: each is used once.
#pragma once

#include "base/ids.hh"

namespace banyan::node {

class LinkIds {
 public:
  LinkId allot() { return last_ = banyan::next(last_); }

 private:
  LinkId last_ = kNoLink;
};

}  // namespace banyan::node
