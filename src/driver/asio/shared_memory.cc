#include "driver/asio/shared_memory.hh"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <utility>

namespace banyan::driver {
namespace {

constexpr int kSeals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;

struct Mapping {
  void* start;
  std::size_t bytes;

  Mapping(void* a_start, std::size_t some_bytes) : start(a_start), bytes(some_bytes) {}
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping() { ::munmap(start, bytes); }
};

bool write_all(int file, const Payload& bytes) {
  constexpr std::size_t kSlices = 64;
  for (std::size_t next = 0, skip = 0; next < bytes.slice_count();) {
    std::array<iovec, kSlices> parts;
    std::size_t count = 0;
    for (; count < parts.size() && next + count < bytes.slice_count(); ++count) {
      const Slice slice = bytes.slice(next + count).part(count == 0 ? skip : 0);
      // writev only reads; iovec serves both directions.
      parts[count] = {const_cast<std::byte*>(slice.data()), slice.size()};
    }
    const ssize_t written = ::writev(file, parts.data(), static_cast<int>(count));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    for (auto left = static_cast<std::size_t>(written); left > 0;) {
      const std::size_t taken = std::min(left, bytes.slice(next).size() - skip);
      left -= taken;
      skip += taken;
      if (skip < bytes.slice(next).size()) break;
      ++next;
      skip = 0;
    }
  }
  return true;
}

}  // namespace

bool can_share_memory() {
  static const bool can = [] {
    const auto made = MemoryFile::make(Payload::copy("?"));
    const auto* file = std::get_if<std::shared_ptr<const MemoryFile>>(&made);
    return file != nullptr && std::holds_alternative<Payload>(map_memory_file((*file)->descriptor()));
  }();
  return can;
}

std::variant<std::shared_ptr<const MemoryFile>, int> MemoryFile::make(const Payload& bytes) {
  auto file = std::make_shared<MemoryFile>();
  file->descriptor_ = Socket(::memfd_create("banyan", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file->descriptor_) return errno;
  if (!write_all(file->descriptor(), bytes) || ::fcntl(file->descriptor(), F_ADD_SEALS, kSeals) != 0) return errno;
  return file;
}

std::variant<std::shared_ptr<const MemoryFile>, int> MemoryFiles::of(const wire::Enclosure& enclosure) {
  if (last_.lock() == enclosure) {
    if (auto file = file_.lock()) return file;
  }
  auto made = MemoryFile::make(*enclosure);
  if (const auto* file = std::get_if<std::shared_ptr<const MemoryFile>>(&made)) {
    last_ = enclosure;
    file_ = *file;
  }
  return made;
}

std::variant<Payload, std::string> map_memory_file(int file) {
  // Another kind of file has no seals at all; without them it could change while it is read, or end the process that
  // reads it.
  if (const int seals = ::fcntl(file, F_GET_SEALS); seals < 0 || (seals & kSeals) != kSeals)
    return "it passed a file that is not sealed memory";
  struct stat facts {};
  if (::fstat(file, &facts) != 0) return error_text(errno);
  const auto size = static_cast<std::size_t>(facts.st_size);
  if (size == 0) return "it passed an empty file";
  // Private, since before Linux 6.7 no file that is sealed against writing can be mapped as shared. It is the same
  // memory: nobody can write to it.
  void* start = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file, 0);
  if (start == MAP_FAILED) return "its shared memory can't be mapped: " + error_text(errno);
  auto mapping = std::make_shared<const Mapping>(start, size);
  return Payload(Slice(std::move(mapping), Bytes(static_cast<const std::byte*>(start), size)));
}

}  // namespace banyan::driver
