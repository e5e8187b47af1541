// Breaks both rules of check_purity.py, so that a test can see it complain. Part of no library.
#include <cstdlib>

namespace banyan {

int calls = 0;

const char* environment() {
  ++calls;
  return std::getenv("BANYAN_RANK");
}

}  // namespace banyan
