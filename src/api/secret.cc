#include "api/secret.hh"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "api/failures.hh"

namespace banyan::api {
namespace {

// Far more than any sensible secret: the limit catches a wrong path.
constexpr std::size_t kMaxSecretBytes = 4096;

class File {
 public:
  explicit File(const std::string& path) : descriptor_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {}
  ~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int descriptor() const { return descriptor_; }

 private:
  int descriptor_;
};

[[noreturn]] void throw_system(const std::string& path, int error) {
  throw Error(ErrorCode::resources, ErrorPhase::setup,
              "banyan: the secret file " + path + " (BANYAN_SECRET_FILE) can't be read: " + std::strerror(error));
}

}  // namespace

std::string read_secret_file(const std::string& path) {
  const std::string name = "the secret file " + path + " (BANYAN_SECRET_FILE)";
  const File file(path);
  struct stat status {};
  if (file.descriptor() < 0 || ::fstat(file.descriptor(), &status) != 0) throw_system(path, errno);
  if (!S_ISREG(status.st_mode)) throw_misuse(name + " is not a regular file: name one that holds the secret");
  if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    throw_misuse(name + " is open to other users: make a new secret, and `chmod 600` its file");
  }
  std::string secret(kMaxSecretBytes + 1, '\0');
  std::size_t length = 0;
  while (length < secret.size()) {
    const ssize_t count = ::read(file.descriptor(), secret.data() + length, secret.size() - length);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw_system(path, errno);
    if (count == 0) break;
    length += static_cast<std::size_t>(count);
  }
  if (length > kMaxSecretBytes) throw_misuse(name + " is longer than 4096 bytes: is it the right file?");
  secret.resize(length);
  if (!secret.empty() && secret.back() == '\n') secret.pop_back();
  if (!secret.empty() && secret.back() == '\r') secret.pop_back();
  if (secret.empty()) throw_misuse(name + " is empty: write the secret into it");
  return secret;
}

}  // namespace banyan::api
