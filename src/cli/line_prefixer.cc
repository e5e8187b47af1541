#include "cli/line_prefixer.hh"

namespace banyan::cli {

void LinePrefixer::feed(std::string_view bytes, std::string& out) {
  while (!bytes.empty()) {
    const std::string_view piece = bytes.substr(0, bytes.find('\n'));
    if (const std::size_t room = kMaxLineBytes - partial_.size(); piece.size() > room) {
      partial_.append(piece.substr(0, room));
      bytes.remove_prefix(room);
      emit(out);
      continue;
    }
    partial_.append(piece);
    bytes.remove_prefix(piece.size());
    if (!bytes.empty()) {
      bytes.remove_prefix(1);
      emit(out);
    }
  }
}

void LinePrefixer::finish(std::string& out) {
  if (!partial_.empty()) emit(out);
}

void LinePrefixer::emit(std::string& out) {
  out.append(prefix_).append(partial_).push_back('\n');
  partial_.clear();
}

}  // namespace banyan::cli
