#include "driver/sockets/alarms.hh"

#include <algorithm>
#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "base/random.hh"

namespace banyan::driver {
namespace {

struct Bell final : Alarm {
  Bell(std::vector<Time>& rung, Alarms& alarms) : rung_(rung), alarms_(alarms) {}
  void on_alarm(Time) override {
    rung_.push_back(wanted);
    if (again != kNever) alarms_.set(*this, wanted = std::exchange(again, kNever));
  }
  Time wanted = kNever;
  Time again = kNever;
  std::vector<Time>& rung_;
  Alarms& alarms_;
};

Time at(std::uint64_t ticks) { return Time(Duration(static_cast<std::int64_t>(ticks))); }

TEST(Alarms, ring_in_order_however_they_were_set_moved_and_cleared) {
  Random random(7);
  for (int round = 0; round < 200; ++round) {
    std::vector<Time> rung;
    Alarms alarms;
    std::vector<std::unique_ptr<Bell>> bells;
    for (int i = 0; i < 40; ++i) bells.push_back(std::make_unique<Bell>(rung, alarms));
    for (int i = 0; i < 300; ++i) {
      Bell& bell = *bells[random.below(bells.size())];
      bell.wanted = random.below(4) == 0 ? kNever : at(random.below(1000));
      alarms.set(bell, bell.wanted);
    }
    std::vector<Time> expected;
    for (const auto& bell : bells) {
      if (bell->wanted < at(500)) expected.push_back(bell->wanted);
    }
    std::sort(expected.begin(), expected.end());
    const Time next = alarms.ring(at(499));
    EXPECT_EQ(rung, expected);
    EXPECT_GE(next, at(500));
    EXPECT_EQ(next, alarms.earliest());
  }
}

TEST(Alarms, an_alarm_that_sets_itself_again_in_time_rings_again) {
  std::vector<Time> rung;
  Alarms alarms;
  Bell bell(rung, alarms);
  alarms.set(bell, bell.wanted = at(1));
  bell.again = at(2);
  EXPECT_EQ(alarms.ring(at(5)), kNever);
  EXPECT_EQ(rung, (std::vector{at(1), at(2)}));
}

}  // namespace
}  // namespace banyan::driver
