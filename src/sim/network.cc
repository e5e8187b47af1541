#include "sim/network.hh"

#include <algorithm>

namespace banyan::sim {
namespace {

constexpr std::int64_t kNanosecondsPerSecond = 1'000'000'000;

Duration even(Random& random, Duration most) {
  return most <= Duration{}
             ? Duration{}
             : Duration(static_cast<Duration::rep>(random.below(static_cast<std::uint64_t>(most.count()))));
}

}  // namespace

Duration Network::jitter() {
  Duration result = even(random_, options_.jitter);
  if (options_.slow_one_in != 0 && random_.below(options_.slow_one_in) == 0) result += even(random_, options_.slow);
  return result;
}

Duration Network::distance(Host from, Host to) const {
  if (from == to) return options_.local_latency;
  return rack(from) == rack(to) ? options_.latency : options_.latency + options_.spine_latency;
}

Network::Port& Network::at(std::vector<Port>& ports, std::uint32_t index) {
  if (index >= ports.size()) ports.resize(std::size_t{index} + 1);
  return ports[index];
}

// Returns when the last byte has left a link on which the first could leave at `from`.
Time Network::carry(Time& busy_until, Time from, std::size_t bytes, std::uint64_t bytes_per_second) {
  if (bytes_per_second == 0) return from;
  // Up to 4 GiB in one go: 2^32 * 10^9 fits.
  const auto nanoseconds = static_cast<std::int64_t>(bytes * std::uint64_t{kNanosecondsPerSecond} / bytes_per_second);
  busy_until = std::max(busy_until, from) + Duration(nanoseconds);
  return busy_until;
}

// Bytes are cut through: a link passes them on while they still come in, so that they queue where it is narrow and pay
// for their length once.
Time Network::arrival(Time now, Host from, Host to, std::size_t bytes) {
  const Time start = now + distance(from, to) + jitter();
  if (from == to) return start;
  const Duration way = start - now;
  const std::uint64_t rate = options_.bytes_per_second;
  Time last = carry(at(hosts_, from).out, now, bytes, rate) + way;
  if (rack(from) != rack(to) && options_.rack_bytes_per_second != 0) {
    last = std::max(last, carry(at(racks_, rack(from)).out, start, bytes, options_.rack_bytes_per_second));
    last = std::max(last, carry(at(racks_, rack(to)).in, start, bytes, options_.rack_bytes_per_second));
  }
  return std::max(last, carry(at(hosts_, to).in, start, bytes, rate));
}

Time Network::trip(Time now, Host from, Host to) { return now + distance(from, to) + jitter(); }

}  // namespace banyan::sim
