// Enclosures on this host: the sender writes their bytes into a sealed memory file, once for all links that are given
// them, and passes its descriptor on; receivers map it. Sealed, it can neither change nor shrink under their feet. What
// an application broadcasts, and results that a leader hands out, may stand in such a file from the first.
#pragma once

#include <memory>
#include <string>
#include <variant>

#include "base/bytes.hh"
#include "wire/frame.hh"

namespace banyan::driver {

// Whether this system has sealed memory files and lets us use them; asked once.
bool can_share_memory();

class MemoryFile {
 public:
  // With these bytes (not none), sealed; or errno.
  static std::variant<std::shared_ptr<const MemoryFile>, int> make(const Payload& bytes);
  MemoryFile() = default;
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  ~MemoryFile();
  int descriptor() const { return descriptor_; }

 private:
  // No Socket: a child of fork() keeps it as long as what it belongs to, and may not close another file in its place.
  int descriptor_ = -1;
};

// The files of enclosures that are on their way: links are given the same one right after each other.
class MemoryFiles {
 public:
  std::variant<std::shared_ptr<const MemoryFile>, int> of(const wire::Enclosure& enclosure);

 private:
  std::weak_ptr<const Payload> last_;
  std::weak_ptr<const MemoryFile> file_;
};

// The same bytes, in a memory file of their own if they are many and that is to be had: they are passed on from there
// when they are enclosed. Each such payload holds a descriptor until then.
Payload share_memory(const Payload& bytes);
// For bytes that are the caller's: a copy.
Payload copy_to_share(Bytes bytes);

// The bytes of a file that a peer has passed, which stay as they are; or why they are not to be had.
std::variant<Payload, std::string> map_memory_file(int file);

}  // namespace banyan::driver
