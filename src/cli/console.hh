// The launcher's own stdout and stderr. Text waits here until the terminal, pipe or file takes it, so that a slow
// reader holds up output and never the event loop; nothing is dropped. A progress line, if any, is kept below the rest.
#pragma once

#include <poll.h>

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "cli/descriptor.hh"

namespace banyan::cli {

enum class Stream { out = 0, err = 1 };

class Console {
 public:
  Console();

  // Whole lines from a rank.
  void write(Stream stream, std::string_view lines);
  // A sentence of the launcher's own, on stderr.
  void say(std::string_view sentence);
  // What the last line of the terminal shows until it is set to nothing. The caller knows that stderr is a terminal.
  void set_progress(std::string text);

  // Writes what can be written without waiting.
  void flush();
  // Adds the descriptors to wait for when something is still to be written.
  void add_waits(std::vector<pollfd>& waits) const;
  bool idle() const { return sinks_[0].idle() && sinks_[1].idle(); }
  // False: the reader is behind; take nothing more from the ranks until it has caught up.
  bool has_room() const;
  // Nobody reads this stream any more: what goes there is lost.
  bool closed(Stream stream) const { return sinks_[index_of_[static_cast<std::size_t>(stream)]].closed; }
  // Output was lost for another reason than that its reader left: a full disk, for example. A sentence, or empty.
  const std::string& write_error() const { return write_error_; }

 private:
  struct Sink {
    int number = -1;
    Descriptor own;  // a terminal is opened anew, see the constructor
    std::size_t chunk_bytes = 0;
    std::string pending;
    std::size_t written = 0;  // of pending
    bool closed = false;
    bool idle() const { return written == pending.size(); }
  };

  Sink& sink(Stream stream) { return sinks_[index_of_[static_cast<std::size_t>(stream)]]; }
  void append(Sink& sink, std::string_view text);
  void erase_progress();
  void draw_progress();
  void flush(Sink& sink);
  bool write_chunk(Sink& sink);

  std::array<Sink, 2> sinks_;
  std::array<std::size_t, 2> index_of_ = {0, 1};  // both 0 where stdout and stderr are the same file
  std::string progress_;
  bool progress_drawn_ = false;
  std::string write_error_;
};

// Whether a line that is rewritten in place makes sense on this process's stderr.
bool stderr_is_terminal();

}  // namespace banyan::cli
