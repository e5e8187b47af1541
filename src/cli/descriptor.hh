// Descriptors with an owner. All that are made here close on exec: what a rank is to inherit is said where it starts.
#pragma once

#include <sys/resource.h>

#include <utility>

namespace banyan::cli {

class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    if (this != &other) {
      reset();
      number_ = std::exchange(other.number_, -1);
    }
    return *this;
  }
  ~Descriptor() { reset(); }

  int get() const { return number_; }
  explicit operator bool() const { return number_ >= 0; }
  void reset();

 private:
  int number_ = -1;
};

struct Pipe {
  Descriptor read_end;
  Descriptor write_end;
};

Pipe make_pipe();
void set_nonblocking(const Descriptor& descriptor);
Descriptor open_null_device();

// Opens /dev/null for those of 0, 1, 2 that are closed, so that no pipe of ours is taken for one of them.
void ensure_standard_descriptors();
// Raises the soft limit of open descriptors to the hard one and returns what it was before: ranks get that back.
rlimit raise_descriptor_limit();

}  // namespace banyan::cli
