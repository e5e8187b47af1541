// Broken invariants stop the process, in release too: a wrong answer is worse than none.
#pragma once

#include <cassert>

#define BANYAN_ASSERT(condition)                                                         \
  do {                                                                                   \
    if (!(condition)) [[unlikely]] {                                                     \
      __assert_fail(#condition, __FILE__, __LINE__, static_cast<const char*>(__func__)); \
    }                                                                                    \
  } while (false)
