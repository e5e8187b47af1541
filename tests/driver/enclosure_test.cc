// The contract on enclosures: bytes that travel beside a local link, in sealed memory files (docs/protocol.md,
// "Enclosures").
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <vector>

#include <gtest/gtest.h>

#include "base/limits.hh"
#include "raw_peer.hh"
#include "scripted_machine.hh"

namespace banyan::driver_test {
namespace {

using engine::output::Transmit;
using node::effect::Connect;
namespace input = engine::input;

constexpr int kSeals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;

driver::Socket memory_file(const std::string& bytes, int seals = kSeals) {
  driver::Socket file(::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  EXPECT_EQ(::write(file.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  EXPECT_EQ(::fcntl(file.get(), F_ADD_SEALS, seals), 0);
  return file;
}

void send_with_files(const RawPeer& peer, std::string bytes, const std::vector<int>& files) {
  iovec part{bytes.data(), bytes.size()};
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(4 * sizeof(int))> control{};
  ASSERT_LE(files.size(), 4u);
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = CMSG_SPACE(files.size() * sizeof(int));
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(files.size() * sizeof(int));
  std::memcpy(CMSG_DATA(header), files.data(), files.size() * sizeof(int));
  ASSERT_EQ(::sendmsg(peer.descriptor(), &message, 0), static_cast<ssize_t>(bytes.size()));
}

// So many bytes, and the file that comes with them.
std::pair<std::string, driver::Socket> receive_with_file(const RawPeer& peer, std::size_t count) {
  std::string bytes(count, '\0');
  iovec part{bytes.data(), bytes.size()};
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  EXPECT_EQ(::recvmsg(peer.descriptor(), &message, MSG_WAITALL | MSG_CMSG_CLOEXEC), static_cast<ssize_t>(count));
  int file = -1;
  if (const cmsghdr* header = CMSG_FIRSTHDR(&message)) std::memcpy(&file, CMSG_DATA(header), sizeof(file));
  return {bytes, driver::Socket(file)};
}

std::string content(int file) {
  std::string bytes(static_cast<std::size_t>(::lseek(file, 0, SEEK_END)), '\0');
  EXPECT_EQ(::pread(file, bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
  return bytes;
}

class Enclosures : public testing::TestWithParam<DriverKind> {
 protected:
  Enclosures() : rig(GetParam()), listener(meeting(Meeting::Kind::local)) {}

  RawPeer connect(LinkId link = LinkId{1}) {
    Connect connect;
    connect.link = link;
    connect.target = node::Target::local;
    connect.name = listener.where().name;
    rig.order(connect);
    rig.script->expect<input::Connected>();
    return listener.accept();
  }
  // What is heard of a peer that sends a byte with these files.
  std::string reason_after(const std::vector<int>& files) {
    RawPeer peer = connect();
    send_with_files(peer, "x", files);
    return rig.script->expect<input::Closed>().reason;
  }

  Rig rig;
  RawListener listener;
};

TEST_P(Enclosures, one_is_written_once_and_given_to_several_links_sealed) {
  RawPeer one = connect(LinkId{1});
  RawPeer two = connect(LinkId{2});
  // As it lies in an engine: in many pieces.
  const std::string all = pattern(300'000);
  Payload bytes;
  for (std::size_t at = 0; at < all.size(); at += 1000) bytes.append(Slice::copy(all.substr(at, 1000)));
  const auto enclosure = std::make_shared<const Payload>(bytes);
  rig.order({Transmit{LinkId{1}, Payload::copy("before"), {}}, Transmit{LinkId{1}, Payload::copy("with"), enclosure},
             Transmit{LinkId{1}, Payload::copy("after"), {}}, Transmit{LinkId{2}, Payload::copy("with"), enclosure}});
  EXPECT_EQ(one.receive(6), "before");
  const auto [first_bytes, first] = receive_with_file(one, 4);
  EXPECT_EQ(one.receive(5), "after");
  const auto [second_bytes, second] = receive_with_file(two, 4);
  EXPECT_EQ(first_bytes, "with");
  EXPECT_EQ(second_bytes, "with");
  ASSERT_TRUE(first);
  ASSERT_TRUE(second);
  EXPECT_EQ(content(first.get()), all);
  EXPECT_EQ(::fcntl(first.get(), F_GET_SEALS) & kSeals, kSeals);
  EXPECT_EQ(::write(first.get(), "x", 1), -1);
  struct stat one_file {};
  struct stat other_file {};
  ASSERT_EQ(::fstat(first.get(), &one_file), 0);
  ASSERT_EQ(::fstat(second.get(), &other_file), 0);
  EXPECT_EQ(one_file.st_ino, other_file.st_ino);
}

TEST_P(Enclosures, what_a_peer_encloses_comes_whole_and_in_order) {
  RawPeer peer = connect();
  const std::string all = pattern(200'000);
  peer.send("before");
  for (const std::string part : {"first", "second"}) send_with_files(peer, part, {memory_file(part + all).get()});
  EXPECT_EQ(rig.script->expect_bytes(LinkId{1}, 17), "beforefirstsecond");
  EXPECT_EQ(rig.script->expect<input::Enclosed>().bytes.to_string(), "first" + all);
  EXPECT_EQ(rig.script->expect<input::Enclosed>().bytes.to_string(), "second" + all);
}

TEST_P(Enclosures, one_that_has_room_for_huge_pages_comes_whole) {
  RawPeer peer = connect();
  const std::string all = pattern(5'000'003);
  rig.order(Transmit{LinkId{1}, Payload::copy("with"), std::make_shared<const Payload>(Payload::copy(all))});
  const auto [bytes, file] = receive_with_file(peer, 4);
  ASSERT_TRUE(file);
  EXPECT_EQ(content(file.get()), all);
  send_with_files(peer, "back", {file.get()});
  EXPECT_EQ(rig.script->expect<input::Enclosed>().bytes.to_string(), all);
}

TEST_P(Enclosures, a_file_that_could_change_or_is_no_message_ends_the_link) {
  for (const int missing : {F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE})
    EXPECT_EQ(reason_after({memory_file("bytes", kSeals & ~missing).get()}),
              "it passed a file that is not sealed memory");
  const driver::Socket device(::open("/dev/zero", O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(reason_after({device.get()}), "it passed a file that is not sealed memory");
  EXPECT_EQ(reason_after({memory_file("").get()}), "it passed an empty file");
  const driver::Socket vast = memory_file("bytes", 0);
  ASSERT_EQ(::ftruncate(vast.get(), static_cast<off_t>(kMaxMessageBytes) + 1), 0);
  ASSERT_EQ(::fcntl(vast.get(), F_ADD_SEALS, kSeals), 0);
  EXPECT_EQ(reason_after({vast.get()}), "it passed a file that is larger than any message");
}

TEST_P(Enclosures, several_files_at_once_end_the_link_and_leave_no_descriptor) {
  const auto open_descriptors = [] {
    return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), std::filesystem::directory_iterator());
  };
  const driver::Socket file = memory_file("bytes");
  const auto before = open_descriptors();
  for (const std::size_t files : {2u, 3u, 4u})
    EXPECT_EQ(reason_after(std::vector<int>(files, file.get())), "it passed too many files");
  EXPECT_EQ(open_descriptors(), before);
}

INSTANTIATE_TEST_SUITE_P(Drivers, Enclosures, testing::ValuesIn(all_drivers()),
                         [](const auto& parameters) { return parameters.param.name; });

}  // namespace
}  // namespace banyan::driver_test
