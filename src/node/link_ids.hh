// Link ids of one engine: each is used once.
#pragma once

#include "base/ids.hh"

namespace banyan::node {

class LinkIds {
 public:
  // The first is the one after `last`.
  explicit LinkIds(LinkId last = kNoLink) : last_(last) {}
  LinkId allot() { return last_ = banyan::next(last_); }

 private:
  LinkId last_;
};

}  // namespace banyan::node
