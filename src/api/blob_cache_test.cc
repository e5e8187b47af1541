#include "api/blob_cache.hh"

#include <string>

#include <gtest/gtest.h>

namespace banyan::api {
namespace {

constexpr std::size_t kBlob = 100;
constexpr std::size_t kCost = kBlob + kFetchedBlobEntryBytes;

Payload blob_of(char rank) { return Payload::copy(std::string(kBlob, rank)); }

TEST(BlobCache, it_keeps_those_used_last_within_its_limit) {
  BlobCache cache(3 * kCost);
  for (const char rank : {'a', 'b', 'c'}) cache.keep(Rank(rank), blob_of(rank));
  EXPECT_EQ(cache.find(Rank{'a'}), blob_of('a'));
  cache.keep(Rank{'d'}, blob_of('d'));
  EXPECT_EQ(cache.find(Rank{'b'}), std::nullopt) << "the one used longest ago";
  for (const char rank : {'a', 'c', 'd'}) EXPECT_EQ(cache.find(Rank(rank)), blob_of(rank));
}

TEST(BlobCache, a_blob_that_is_kept_already_counts_once) {
  BlobCache cache(2 * kCost);
  for (int i = 0; i < 5; ++i) cache.keep(Rank{'a'}, blob_of('a'));
  cache.keep(Rank{'b'}, blob_of('b'));
  EXPECT_EQ(cache.find(Rank{'a'}), blob_of('a'));
}

TEST(BlobCache, empty_blobs_are_kept_too_and_one_above_the_limit_is_not) {
  BlobCache cache(kCost);
  cache.keep(Rank{1}, {});
  EXPECT_EQ(cache.find(Rank{1}), Payload());
  cache.keep(Rank{2}, Payload::copy(std::string(kBlob + 1, 'x')));
  EXPECT_EQ(cache.find(Rank{2}), std::nullopt);
}

}  // namespace
}  // namespace banyan::api
