// What the machine charges for each thing that a process does, in CPU time of one core. `banyan calibrate` measures it;
// zeros make a network in which only distance takes time.
#pragma once

#include <cstdint>

#include "base/time.hh"

namespace banyan::sim {

struct Costs {
  // Nanoseconds for each of them.
  std::int64_t start = 0;        // a process makes itself ready to take part: event loop, identity of its host
  std::int64_t formed = 0;       // what start() still does when the table is there: the background thread
  std::int64_t wake = 0;         // a thread that waits for something runs again
  std::int64_t listen = 0;       // bind and listen
  std::int64_t connect_tcp = 0;  // socket and connect
  std::int64_t connect_local = 0;
  std::int64_t accept_tcp = 0;
  std::int64_t accept_local = 0;
  std::int64_t close = 0;
  std::int64_t read_tcp = 0;  // one system call, without its bytes
  std::int64_t read_local = 0;
  std::int64_t write_tcp = 0;
  std::int64_t write_local = 0;
  std::int64_t authenticate = 0;  // one side's cryptography of a handshake
  std::int64_t input = 0;         // the engine's own work for one input and what it causes
  std::int64_t enclose = 0;       // makes a memory file for others, without its bytes
  std::int64_t map = 0;           // takes one over; its pages come when they are read
  // Picoseconds for a byte.
  std::int64_t read_byte_ps = 0;
  std::int64_t write_byte_ps = 0;
  std::int64_t enclose_byte_ps = 0;

  // In so many system calls.
  Duration reading(bool local, std::size_t bytes, std::size_t calls) const {
    return of(static_cast<std::int64_t>(calls) * (local ? read_local : read_tcp), read_byte_ps, bytes);
  }
  Duration writing(bool local, std::size_t bytes) const {
    return of(local ? write_local : write_tcp, write_byte_ps, bytes);
  }
  Duration enclosing(std::size_t bytes) const { return of(enclose, enclose_byte_ps, bytes); }

 private:
  static Duration of(std::int64_t call, std::int64_t byte_ps, std::size_t bytes) {
    return Duration(call + byte_ps * static_cast<std::int64_t>(bytes) / 1000);
  }
};

}  // namespace banyan::sim
