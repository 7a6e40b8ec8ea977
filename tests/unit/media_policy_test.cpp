#include "kvms/media/sources/image_policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace lom::media {
namespace {

using testing::HasSubstr;

Result<void> check_address(const ImagePolicy& policy, const char* text) {
    sockaddr_in v4{.sin_family = AF_INET};
    sockaddr_in6 v6{.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
        return policy.check(reinterpret_cast<const sockaddr&>(v4));
    EXPECT_EQ(inet_pton(AF_INET6, text, &v6.sin6_addr), 1) << text;
    return policy.check(reinterpret_cast<const sockaddr&>(v6));
}

ImagePolicy only(std::initializer_list<const char*> networks) {
    ImagePolicy policy;
    for (const char* text : networks)
        policy.networks.push_back(*parse_network(text));
    return policy;
}

TEST(ImagePolicy, NeverGoesWhereOnlyThisMachineGets) {
    ImagePolicy widest = only({"0.0.0.0/0", "::/0"});
    widest.loopback = true;
    for (const char* text :
         {"169.254.169.254", "169.254.0.1", "0.0.0.0", "0.1.2.3", "224.0.0.1", "255.255.255.255",
          "100.100.100.200", "168.63.129.16", "::", "fe80::1", "febf::1", "ff02::1",
          "fd00:ec2::254", "fd20:ce::254", "::ffff:169.254.169.254", "64:ff9b::169.254.169.254"}) {
        const auto fine = check_address(widest, text);
        ASSERT_FALSE(fine) << text;
        EXPECT_THAT(fine.fault().message, HasSubstr("link-local")) << text;
    }
}

TEST(ImagePolicy, GoesToTheOwnMachineOnlyWhenToldTo) {
    for (const char* text : {"127.0.0.1", "127.255.0.3", "::1", "::ffff:127.0.0.1"}) {
        const auto refused = check_address({}, text);
        ASSERT_FALSE(refused) << text;
        EXPECT_THAT(refused.fault().message, HasSubstr("role a")) << text;
        EXPECT_TRUE(check_address({.loopback = true}, text)) << text;
    }
}

TEST(ImagePolicy, GoesAnywhereElseUnlessNetworksAreNamed) {
    for (const char* text : {"10.0.0.1", "192.0.2.7", "2001:db8::1", "169.253.255.255",
                             "169.255.0.0", "128.0.0.1", "fec0::1"})
        EXPECT_TRUE(check_address({}, text)) << text;
    const ImagePolicy policy = only({"10.0.0.0/8", "192.0.2.128/25", "2001:db8::7"});
    for (const char* text : {"10.255.0.1", "192.0.2.128", "192.0.2.255", "2001:db8::7",
                             "::ffff:10.0.0.1", "64:ff9b::10.0.0.1"})
        EXPECT_TRUE(check_address(policy, text)) << text;
    for (const char* text : {"11.0.0.1", "192.0.2.127", "2001:db8::6", "2001:db8::8", "a00::"})
        EXPECT_FALSE(check_address(policy, text)) << text;
}

TEST(ImagePolicy, KnowsEverySpellingOfAnAddressInAUri) {
    for (const char* host :
         {"127.0.0.1", "127.1", "0x7f000001", "2130706433", "017700000001", "localhost",
          "LOCALHOST.", "a.localhost", "[::1]", "[::ffff:127.0.0.1]", "[0:0::1]"}) {
        const auto uri = parse_image_uri("https://" + std::string(host) + "/x.iso");
        ASSERT_TRUE(uri) << host;
        EXPECT_FALSE(ImagePolicy().check(*uri)) << host;
        EXPECT_TRUE(ImagePolicy{.loopback = true}.check(*uri)) << host;
    }
    EXPECT_FALSE(ImagePolicy{.loopback = true}.check(
        *parse_image_uri("http://2852039166/latest"))); // 169.254.169.254
    EXPECT_TRUE(ImagePolicy().check(*parse_image_uri("https://localhost.example.org/x.iso")));
}

TEST(ImagePolicy, AllowsTheNamedSchemes) {
    const ImagePolicy policy{.loopback = true, .schemes = {"https", "sshfs"}};
    EXPECT_TRUE(policy.check(*parse_image_uri("https://host/x.iso")));
    EXPECT_TRUE(policy.check(*parse_image_uri("sftp://host/x.iso")));
    EXPECT_FALSE(policy.check(*parse_image_uri("http://host/x.iso")));
}

TEST(Network, IsWrittenWithItsBits) {
    for (const char* text : {"10.0.0.0/8", "10.1.2.3", "::/0", "2001:db8::/32", "0.0.0.0/0"})
        EXPECT_TRUE(parse_network(text)) << text;
    for (const char* text : {"", "/", "10.0.0.0/", "10.0.0.0/33", "::/129", "10.0.0/8", "host/8",
                             "10.0.0.0/8x", "10.0.0.0/-1", "10.0.0.0/ 8"})
        EXPECT_FALSE(parse_network(text)) << text;
}

} // namespace
} // namespace lom::media
