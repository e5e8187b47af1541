#include "driver/sockets/doorstep.hh"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <variant>

#include "driver/sockets/clock.hh"
#include "driver/sockets/engine_runner.hh"
#include "driver/sockets/link.hh"
#include "driver/sockets/process.hh"
#include "wire/handshake.hh"

namespace banyan::driver {

Doorstep::~Doorstep() { process_.reactor.clear_alarm(*this); }

void Doorstep::admit_limits(const Limits& limits) {
  patience_ = std::max(patience_, limits.handshake_timeout);
  capacity_ = std::max(capacity_, limits.unauthenticated_links);
}

void Doorstep::receive(Socket socket, Caller caller) {
  std::error_code error;
  std::optional<Descriptor> descriptor = Descriptor::make(process_.reactor, std::move(socket), error);
  if (!descriptor) {
    ++process_.turned_away;
    return;
  }
  make_room_for_one();
  auto guest =
      std::make_shared<Guest>(Guest{std::move(*descriptor), std::move(caller), {}, after(now(), patience_), true, {}});
  guest->place = guests_.insert(guests_.end(), guest);
  // Whoever connects says hello in the same breath: mostly it is there already.
  if (hear(guest)) return;
  set_alarm();
  spawn(process_.reactor, wait_for_hello(guest));
}

bool Doorstep::make_room() {
  if (!process_.lingering.empty()) {
    process_.lingering.front()->shut();
    return true;
  }
  if (guests_.empty()) return false;
  turn_away(*guests_.front());
  return true;
}

void Doorstep::make_room_for_one() {
  while (guests_.size() + process_.lingering.size() >= capacity_ && make_room()) {
  }
}

void Doorstep::turn_away_callers_of(const Acceptor& acceptor) {
  for (auto place = guests_.begin(); place != guests_.end();) {
    Guest& guest = **place++;
    if (guest.caller.acceptor.get() == &acceptor) turn_away(guest);
  }
}

Task Doorstep::wait_for_hello(std::shared_ptr<Guest> guest) {
  do {
    const bool open = co_await guest->descriptor.readable();
    if (!open || !guest->waiting) co_return;
  } while (!hear(guest));
}

bool Doorstep::hear(const std::shared_ptr<Guest>& guest) {
  std::array<std::byte, kMaxUnauthenticatedFrameBytes> room;
  const ssize_t received = ::recv(guest->descriptor.get(), room.data(), room.size() - guest->bytes.size(), 0);
  if (received < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  if (received <= 0) {
    turn_away(*guest);
    return true;
  }
  guest->bytes.insert(guest->bytes.end(), room.data(), room.data() + received);
  const auto hello = wire::peek_hello(guest->bytes);
  if (const auto* error = std::get_if<wire::PeekError>(&hello)) {
    if (*error == wire::PeekError::incomplete && guest->bytes.size() < room.size()) return false;
    turn_away(*guest);
    return true;
  }
  EngineRunner* runner = guest->caller.acceptor->runner_for(std::get<wire::HelloAddress>(hello));
  if (runner == nullptr) {
    turn_away(*guest);
    return true;
  }
  const std::shared_ptr<Guest> keep = guest;
  forget(*keep);
  runner->offer(keep->caller, std::move(keep->descriptor), Slice::adopt(std::move(keep->bytes)));
  return true;
}

void Doorstep::forget(Guest& guest) {
  guest.waiting = false;
  guests_.erase(guest.place);
  set_alarm();
}

void Doorstep::turn_away(Guest& guest) {
  ++process_.turned_away;
  guest.descriptor.close();
  forget(guest);
}

void Doorstep::on_alarm(Time now) {
  while (!guests_.empty() && guests_.front()->due <= now) turn_away(*guests_.front());
  set_alarm();
}

void Doorstep::set_alarm() { process_.reactor.set_alarm(*this, guests_.empty() ? kNever : guests_.front()->due); }

}  // namespace banyan::driver
