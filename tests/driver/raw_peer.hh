// The other end of a driver's connection, written with plain blocking sockets: it says and does exactly what a test
// wants.
#pragma once

#include <chrono>
#include <cstdint>
#include <ostream>
#include <string>
#include <string_view>

#include "base/endpoint.hh"
#include "base/ids.hh"
#include "driver/sockets/socket.hh"

namespace banyan::driver_test {

// Where tests meet. `name` only for a Unix socket.
struct Meeting {
  enum class Kind { tcp4, tcp6, local } kind{};
  Endpoint endpoint;
  std::string name;
};
const char* to_string(Meeting::Kind kind);
inline void PrintTo(Meeting::Kind kind, std::ostream* out) { *out << to_string(kind); }
// Loopback, port 0, or a Unix name that no other test uses.
Meeting meeting(Meeting::Kind kind);
Endpoint loopback4(std::uint16_t port = 0);
Endpoint loopback6(std::uint16_t port = 0);

class RawPeer {
 public:
  explicit RawPeer(driver::Socket socket);
  // Throws when it can't.
  static RawPeer connect(const Meeting& where);

  void send(std::string_view bytes);
  // The same where the other side may be gone.
  void try_to_send(std::string_view bytes);
  // Exactly so many bytes; fails the test when they don't come.
  std::string receive(std::size_t count);
  // What comes until the other side ends, or an error.
  std::string receive_to_end();
  // True when the other side ends within `time`, whatever it says before.
  bool ends_within(std::chrono::milliseconds time);
  // True when something can be read within `time`.
  bool readable_within(std::chrono::milliseconds time);
  void end_sending();
  // TCP: with a reset.
  void reset();
  int descriptor() const { return socket_.get(); }

 private:
  driver::Socket socket_;
};

class RawListener {
 public:
  explicit RawListener(Meeting where);
  const Meeting& where() const { return where_; }
  RawPeer accept();

 private:
  Meeting where_;
  driver::Socket socket_;
};

// A whole hello as it stands on the wire.
std::string hello(Rank to, JobId job = {}, Rank from = Rank{7});
JobId job_id(unsigned char fill);
// Bytes that tell their place, so that a loss or a swap is seen.
std::string pattern(std::size_t count);

}  // namespace banyan::driver_test
