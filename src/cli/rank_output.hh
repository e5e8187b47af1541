// Everything the ranks print: two pipes per rank, read in turns, cut into prefixed lines and handed to the console.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "base/ids.hh"
#include "cli/console.hh"
#include "cli/descriptor.hh"
#include "cli/line_prefixer.hh"

namespace banyan::cli {

class RankOutput {
 public:
  RankOutput(Console& console, std::uint32_t world_size);

  // The end to write to: the rank inherits it and the launcher lets go of it.
  Descriptor add(Rank rank, Stream stream);

  // Readable when some rank has written or closed.
  const Descriptor& ready_event() const { return ready_event_; }
  // Reads once from each of some ready pipes. False: none was ready.
  bool read_ready();
  bool all_closed() const { return open_ == 0; }
  // Stops listening to one stream of all ranks, so that writing to it fails as it would without a launcher.
  void close(Stream stream);
  // The same for both, once whoever could write to them is gone. Unfinished lines are finished.
  void close_all();

 private:
  struct Source {
    Descriptor read_end;
    Stream stream;
    LinePrefixer lines;
  };

  void read(Source& source);
  void end(Source& source);

  Console& console_;
  std::size_t rank_digits_;
  Descriptor ready_event_;
  std::deque<Source> sources_;  // a deque: sources stay where they are while more are added
  std::size_t open_ = 0;
  std::array<bool, 2> closed_ = {false, false};  // by stream
  std::vector<char> buffer_;
  std::string text_;
};

}  // namespace banyan::cli
