#include "driver/sockets/shared_memory.hh"

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

#include "base/limits.hh"
#include "driver/sockets/socket.hh"

namespace banyan::driver {
namespace {

constexpr int kSeals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
constexpr std::size_t kHugePageBytes = 2 * 1024 * 1024;
// From here on a copy is worth a descriptor.
constexpr std::size_t kShareBytes = 1024 * 1024;

// From Linux 5.14 and 6.1; where the C library does not know them yet, the kernel may.
constexpr int kPopulateRead = 22;
constexpr int kCollapse = 25;

// A whole file, to be read. It begins where a huge page could lie, if it is as large as one.
class Mapping {
 public:
  // None: errno says why.
  static std::shared_ptr<const Mapping> make(int file, std::size_t bytes);
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping() { ::munmap(reserved_, reserved_bytes_); }

  Bytes bytes() const { return bytes_; }
  void advise(int advice) const { ::madvise(const_cast<std::byte*>(bytes_.data()), bytes_.size(), advice); }

 private:
  Mapping(void* reserved, std::size_t reserved_bytes) : reserved_(reserved), reserved_bytes_(reserved_bytes) {}

  void* reserved_;
  std::size_t reserved_bytes_;
  Bytes bytes_;
};

std::shared_ptr<const Mapping> Mapping::make(int file, std::size_t bytes) {
  const std::size_t room = bytes < kHugePageBytes ? bytes : bytes + kHugePageBytes;
  void* reserved = ::mmap(nullptr, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (reserved == MAP_FAILED) return nullptr;
  const std::shared_ptr<Mapping> mapping(new Mapping(reserved, room));
  std::size_t left = room;
  void* start = reserved;
  if (room > bytes) std::align(kHugePageBytes, bytes, start, left);
  // Private, since before Linux 6.7 no file that is sealed against writing can be mapped as shared. It is the same
  // memory: nobody can write to it.
  if (::mmap(start, bytes, PROT_READ, MAP_PRIVATE | MAP_FIXED, file, 0) == MAP_FAILED) return nullptr;
  mapping->bytes_ = Bytes(static_cast<const std::byte*>(start), bytes);
  return mapping;
}

// What owns a slice that is all of a memory file of this process: the mapping, and the file until it is enclosed.
class OwnFile {
 public:
  OwnFile(std::shared_ptr<const Mapping> mapping, std::shared_ptr<const MemoryFile> file)
      : mapping_(std::move(mapping)), file_(std::move(file)) {}

  // Tells such a slice from others, by its owner: it is what destroys it.
  struct Delete {
    void operator()(const OwnFile* file) const { delete file; }
  };
  // Null: `bytes` are something else.
  static const OwnFile* of(const Payload& bytes) {
    if (bytes.slice_count() != 1) return nullptr;
    const Slice& slice = bytes.slice(0);
    if (std::get_deleter<Delete>(slice.owner()) == nullptr) return nullptr;
    const auto* own = static_cast<const OwnFile*>(slice.owner().get());
    return slice.size() == own->mapping_->bytes().size() ? own : nullptr;
  }
  // For whoever passes it on: those who only read the bytes, as long as they like, hold no descriptor. Once.
  std::shared_ptr<const MemoryFile> take_file() const { return std::exchange(file_, nullptr); }

 private:
  std::shared_ptr<const Mapping> mapping_;
  mutable std::shared_ptr<const MemoryFile> file_;
};

// Makes a new file of huge pages, as far as it can have whole ones and the kernel gives them: then all that writes and
// maps it costs a fraction. What is missing comes as it is written.
void lay_huge_pages(int file, std::size_t bytes) {
  if (bytes < kHugePageBytes || ::ftruncate(file, static_cast<off_t>(bytes)) != 0) return;
  // None is given for what has no page at all.
  for (std::size_t at = 0; at + kHugePageBytes <= bytes; at += kHugePageBytes) {
    if (::pwrite(file, "", 1, static_cast<off_t>(at)) != 1) return;
  }
  if (const auto mapping = Mapping::make(file, bytes)) mapping->advise(kCollapse);
}

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

MemoryFile::~MemoryFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

std::variant<std::shared_ptr<const MemoryFile>, int> MemoryFile::make(const Payload& bytes) {
  auto file = std::make_shared<MemoryFile>();
  file->descriptor_ = ::memfd_create("banyan", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (file->descriptor_ < 0) return errno;
  lay_huge_pages(file->descriptor(), bytes.size());
  if (!write_all(file->descriptor(), bytes) || ::fcntl(file->descriptor(), F_ADD_SEALS, kSeals) != 0) return errno;
  return file;
}

std::variant<std::shared_ptr<const MemoryFile>, int> MemoryFiles::of(const wire::Enclosure& enclosure) {
  if (last_.lock() == enclosure) {
    if (auto file = file_.lock()) return file;
  }
  if (const OwnFile* own = OwnFile::of(*enclosure)) {
    if (auto file = own->take_file()) {
      last_ = enclosure;
      file_ = file;
      return file;
    }
  }
  auto made = MemoryFile::make(*enclosure);
  if (const auto* file = std::get_if<std::shared_ptr<const MemoryFile>>(&made)) {
    last_ = enclosure;
    file_ = *file;
  }
  return made;
}

Payload share_memory(const Payload& bytes) {
  if (bytes.size() < kShareBytes || OwnFile::of(bytes) != nullptr || !can_share_memory()) return bytes;
  const auto made = MemoryFile::make(bytes);
  const auto* file = std::get_if<std::shared_ptr<const MemoryFile>>(&made);
  if (file == nullptr) return bytes;
  auto mapping = Mapping::make((*file)->descriptor(), bytes.size());
  if (!mapping) return bytes;
  const Bytes there = mapping->bytes();
  return Payload(
      Slice(std::shared_ptr<const OwnFile>(new OwnFile(std::move(mapping), *file), OwnFile::Delete()), there));
}

Payload copy_to_share(Bytes bytes) {
  // Only for as long as this takes: a slice that owns nothing.
  const Payload shared = share_memory(Payload(Slice(nullptr, bytes)));
  return OwnFile::of(shared) != nullptr ? shared : Payload::copy(bytes);
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
  if (size > kMaxMessageBytes) return "it passed a file that is larger than any message";
  auto mapping = Mapping::make(file, size);
  if (!mapping) return "its shared memory can't be mapped: " + error_text(errno);
  // All at once, which costs much less than page by page while they are read.
  mapping->advise(kPopulateRead);
  const Bytes bytes = mapping->bytes();
  return Payload(Slice(std::move(mapping), bytes));
}

}  // namespace banyan::driver
