#include "base/bytes.hh"

#include <algorithm>

#include <gtest/gtest.h>

#include "base/random.hh"

namespace banyan {
namespace {

std::string text_of(const Slice& slice) { return {reinterpret_cast<const char*>(slice.data()), slice.size()}; }

TEST(Slice, a_copy_owns_its_bytes_and_an_adopted_container_keeps_them_where_they_are) {
  std::string text = "0123456789";
  const Slice copy = Slice::copy(text);
  text[0] = 'x';
  EXPECT_EQ(text_of(copy), "0123456789");
  std::vector<std::byte> bytes(1000, std::byte{7});
  const std::byte* where = bytes.data();
  const Slice adopted = Slice::adopt(std::move(bytes));
  EXPECT_EQ(adopted.data(), where);
  EXPECT_EQ(adopted.size(), 1000u);
  EXPECT_EQ(text_of(Slice::adopt(std::string("short"))), "short");
}

TEST(Slice, a_part_keeps_the_whole_alive) {
  auto owner = std::make_shared<std::string>("0123456789");
  const std::weak_ptr<std::string> watch = owner;
  Slice part;
  {
    const std::string_view text = *owner;
    const Slice whole(std::move(owner), as_byte_span(text));
    part = whole.part(2, 5).part(1);
  }
  EXPECT_EQ(text_of(part), "3456");
  EXPECT_FALSE(watch.expired());
  part = {};
  EXPECT_TRUE(watch.expired());
}

TEST(Slice, only_the_next_bytes_of_the_same_storage_continue_it) {
  const Slice whole = Slice::copy("0123456789");
  Slice first = whole.part(0, 4);
  EXPECT_TRUE(first.continued_by(whole.part(4, 3)));
  EXPECT_FALSE(first.continued_by(whole.part(5, 3)));
  EXPECT_FALSE(first.continued_by(Slice::copy("456")));
  first.extend(whole.part(4, 3));
  EXPECT_EQ(text_of(first), "0123456");
}

TEST(Slice, one_that_was_moved_from_is_empty) {
  Slice slice = Slice::copy("text");
  const Slice taken = std::move(slice);
  EXPECT_TRUE(slice.empty());
  slice = taken;
  Slice other;
  other = std::move(slice);
  EXPECT_TRUE(slice.empty());
  EXPECT_EQ(text_of(other), "text");
}

TEST(Payload, one_that_was_moved_from_is_empty_and_can_be_used_again) {
  Payload payload = Payload::copy("one");
  payload.append(Slice::copy("two"));
  const Payload taken = std::move(payload);
  EXPECT_TRUE(payload.empty());
  EXPECT_EQ(payload.slice_count(), 0u);
  payload.append(Slice::copy("three"));
  EXPECT_EQ(payload.to_string(), "three");
  EXPECT_EQ(taken.to_string(), "onetwo");
  payload = Payload(taken);
  EXPECT_EQ(payload, taken);
}

TEST(Payload, slices_that_continue_each_other_become_one_and_empty_ones_vanish) {
  const Slice whole = Slice::copy("0123456789");
  Payload payload;
  for (std::size_t i = 0; i < 10; ++i) {
    payload.append(whole.part(i, 1));
    payload.append(Slice{});
    payload.append(whole.part(3, 0));
  }
  EXPECT_EQ(payload.slice_count(), 1u);
  EXPECT_EQ(payload.flatten().data(), whole.data()) << "contiguous bytes are shared, not copied";
  payload.append(Slice::copy("x"));
  EXPECT_EQ(payload.slice_count(), 2u);
  EXPECT_EQ(text_of(payload.flatten()), "0123456789x");
}

TEST(Payload, one_can_be_appended_to_itself_even_if_its_first_slice_continues_its_last) {
  const Slice whole = Slice::copy("0123456789");
  Payload payload(whole.part(5, 5));
  payload.append(whole.part(0, 5));
  payload.append(payload);
  EXPECT_EQ(payload.to_string(), "56789012345678901234");
}

// Any sequence of operations, beside the same ones on a string.
TEST(Payload, it_behaves_like_one_string_whatever_slices_it_has) {
  for (std::uint64_t seed = 1; seed <= 2000; ++seed) {
    Random random(seed);
    std::string storage(200, '\0');
    for (char& c : storage) c = static_cast<char>('a' + random.below(26));
    const Slice shared = Slice::copy(storage);
    Payload payload;
    std::string model;
    for (int i = 0; i < 20; ++i) {
      const std::size_t offset = random.below(storage.size());
      const std::size_t count = random.below(std::min<std::size_t>(30, storage.size() - offset) + 1);
      switch (random.below(4)) {
        case 0: payload.append(shared.part(offset, count)), model += storage.substr(offset, count); break;
        case 1:
          payload.append(Slice::copy(storage.substr(offset, count))), model += storage.substr(offset, count);
          break;
        case 2: {
          const std::size_t begin = random.below(model.size() + 1);
          const std::size_t size = random.below(model.size() - begin + 1);
          payload = payload.part(begin, size);
          model = model.substr(begin, size);
          break;
        }
        case 3:
          if (model.size() > 1000) break;
          payload.append(random.below(2) == 0 ? payload : Payload(payload));
          model += model;
          break;
      }
      ASSERT_EQ(payload.size(), model.size()) << "seed " << seed;
      ASSERT_EQ(payload.to_string(), model) << "seed " << seed;
      ASSERT_EQ(text_of(payload.flatten()), model) << "seed " << seed;
      ASSERT_EQ(payload, Payload::copy(model)) << "seed " << seed;
      std::size_t sum = 0;
      for (std::size_t s = 0; s < payload.slice_count(); ++s) {
        ASSERT_FALSE(payload.slice(s).empty());
        sum += payload.slice(s).size();
      }
      ASSERT_EQ(sum, model.size());
    }
    if (!model.empty()) {
      model[random.below(model.size())] ^= 1;
      EXPECT_FALSE(payload == Payload::copy(model));
    }
  }
}

}  // namespace
}  // namespace banyan
