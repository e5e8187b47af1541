#include "wire/store.hh"

#include <gtest/gtest.h>

#include "wire/codec_checks.hh"

namespace banyan::wire {
namespace {

using What = StoreRequest::What;
using Status = StoreAnswer::Status;

StoreRequest request(What what, std::string key = "key") {
  StoreRequest request{what, 7, std::move(key), {}, {}, 0};
  if (what == What::add) request.delta = -3;
  if (what == What::put || what == What::compare_set) request.value = Slice::copy("value");
  if (what == What::compare_set) request.expected = Slice::copy("expected");
  return request;
}

TEST(StoreRequest, each_arrives_as_it_was_sent) {
  for (const What what :
       {What::put, What::find, What::wait, What::add, What::compare_set, What::remove, What::forget}) {
    const StoreRequest sent = request(what);
    const StoreRequest copy = round_trip(sent);
    EXPECT_EQ(copy.what, sent.what);
    EXPECT_EQ(copy.number, 7u);
    EXPECT_EQ(copy.key, "key");
    EXPECT_EQ(copy.delta, sent.delta);
    EXPECT_EQ(Payload(copy.value), Payload(sent.value));
    ASSERT_EQ(copy.expected.has_value(), sent.expected.has_value());
    if (sent.expected) {
      EXPECT_EQ(Payload(*copy.expected), Payload(*sent.expected));
    }
    EXPECT_EQ(sent.to_message(), body_of(sent));
    expect_harmless(sent, static_cast<std::uint64_t>(what));
    // The others end with a value, which takes what there is.
    if (what != What::put && what != What::compare_set) expect_exact_length(sent);
  }
}

TEST(StoreRequest, a_value_may_be_empty_and_nothing_differs_from_it) {
  StoreRequest sent = request(What::compare_set);
  sent.value = {};
  sent.expected = Slice();
  EXPECT_TRUE(round_trip(sent).expected.has_value());
  sent.expected.reset();
  EXPECT_FALSE(round_trip(sent).expected.has_value());
}

TEST(StoreRequest, keys_and_values_beyond_the_limits_and_the_number_of_requests_are_refused) {
  const auto sized = [](What what, std::size_t key, std::size_t value) {
    StoreRequest sent = request(what, std::string(key, 'k'));
    sent.value = Slice::copy(std::string(value, 'v'));
    return sent;
  };
  EXPECT_TRUE(accepted(sized(What::put, kMaxStoreKeyBytes, kMaxStoreValueBytes)));
  EXPECT_FALSE(accepted(sized(What::put, kMaxStoreKeyBytes + 1, 0)));
  EXPECT_FALSE(accepted(sized(What::put, 0, 0)));
  EXPECT_FALSE(accepted(sized(What::put, 1, kMaxStoreValueBytes + 1)));
  StoreRequest longest = sized(What::compare_set, kMaxStoreKeyBytes, kMaxStoreValueBytes - 5);
  longest.expected = Slice::copy(std::string(5, 'v'));
  EXPECT_TRUE(accepted(longest));
  EXPECT_EQ(longest.to_message().size(), kMaxStoreMessageBytes);
  longest.expected = Slice::copy(std::string(6, 'v'));
  EXPECT_FALSE(accepted(longest)) << "the two values together are too long";
  StoreRequest unnumbered = request(What::find);
  unnumbered.number = kRequests;
  EXPECT_FALSE(accepted(unnumbered));
  EXPECT_FALSE(accepted(request(What{0})));
  EXPECT_FALSE(accepted(request(What{8})));
}

TEST(StoreAnswer, it_arrives_as_it_was_sent_and_shares_its_value) {
  for (const Status status : {Status::done, Status::absent, Status::differs, Status::mismatch, Status::full}) {
    EXPECT_EQ(round_trip(StoreAnswer{status}).status, status);
    expect_exact_length(StoreAnswer{status});
    expect_harmless(StoreAnswer{status}, 11);
  }
  EXPECT_FALSE(accepted(StoreAnswer{Status{0}}));
  EXPECT_FALSE(accepted(StoreAnswer{Status{6}}));
  const Payload value = Payload::copy("value");
  const Payload message = StoreAnswer{Status::done}.to_message(value);
  ASSERT_EQ(message.slice_count(), 2u);
  EXPECT_EQ(message.slice(1).data(), value.slice(0).data());
}

TEST(StoreAnswer, only_what_was_found_brings_bytes_and_no_more_than_a_value_has) {
  EXPECT_TRUE(StoreAnswer{Status::done}.carries(kMaxStoreValueBytes));
  EXPECT_FALSE(StoreAnswer{Status::done}.carries(kMaxStoreValueBytes + 1));
  EXPECT_TRUE(StoreAnswer{Status::differs}.carries(1));
  for (const Status status : {Status::absent, Status::mismatch, Status::full}) {
    EXPECT_TRUE(StoreAnswer{status}.carries(0));
    EXPECT_FALSE(StoreAnswer{status}.carries(1));
  }
}

}  // namespace
}  // namespace banyan::wire
