#include "kvms/media/sources/credentials.h"
#include "kvms/media/sources/uri.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lom::media {
namespace {

struct Good {
    const char* text;
    const char* user;
    const char* host;
    int port;
    const char* path;
};

class GoodUri : public testing::TestWithParam<Good> {};

TEST_P(GoodUri, IsTakenApart) {
    const auto uri = parse_image_uri(GetParam().text);
    ASSERT_TRUE(uri) << uri.fault().message;
    EXPECT_EQ(uri->scheme, "sshfs");
    EXPECT_EQ(uri->user, GetParam().user);
    EXPECT_EQ(uri->host, GetParam().host);
    EXPECT_EQ(uri->port, GetParam().port);
    EXPECT_EQ(uri->path, GetParam().path);
}

INSTANTIATE_TEST_SUITE_P(
    Forms, GoodUri,
    testing::Values(Good{"sshfs://host:/a.iso", "", "host", 22, "/a.iso"},
                    Good{"sshfs://host/a.iso", "", "host", 22, "/a.iso"},
                    Good{"sshfs://host:2222:/a.iso", "", "host", 2222, "/a.iso"},
                    Good{"sshfs://host:2222/a.iso", "", "host", 2222, "/a.iso"},
                    Good{"sftp://me@10.0.0.1:/a/b.iso", "me", "10.0.0.1", 22, "/a/b.iso"},
                    Good{"SSHFS://me@Host.example/x", "me", "Host.example", 22, "/x"},
                    Good{"sshfs://[::1]:/a", "", "::1", 22, "/a"},
                    Good{"sshfs://[fe80::1%eth0]:22:/a", "", "fe80::1%eth0", 22, "/a"},
                    Good{"sshfs://u@[2001:db8::2]:65535/a", "u", "2001:db8::2", 65535, "/a"},
                    Good{"sshfs://h:/a b/c@d:e;$(x)'\"..iso", "", "h", 22,
                         "/a b/c@d:e;$(x)'\"..iso"},
                    Good{"sshfs://h:/...", "", "h", 22, "/..."},
                    Good{"sshfs://h:/%2e%2e", "", "h", 22, "/%2e%2e"},
                    Good{"sshfs://a@b@h:/x", "a@b", "h", 22, "/x"},
                    Good{"sshfs://h://x", "", "h", 22, "//x"}));

TEST(Uri, OfEachSchemeHasItsUsualPort) {
    struct Case {
        const char* text;
        const char* scheme;
        int port;
        const char* path;
    };
    for (const Case& one : {Case{"nfs://h:/export/x.iso", "nfs", 2049, "/export/x.iso"},
                            Case{"nfs://h:2050:/export/x.iso", "nfs", 2050, "/export/x.iso"},
                            Case{"samba://h/share/x.iso", "smb", 445, "/share/x.iso"},
                            Case{"smb://u@h:1445/share/a/x.iso", "smb", 1445, "/share/a/x.iso"},
                            Case{"CIFS://h:/share/x.iso", "smb", 445, "/share/x.iso"},
                            Case{"https://h/x.iso", "https", 443, "/x.iso"},
                            Case{"http://h:8080/x.iso", "http", 8080, "/x.iso"},
                            Case{"file:///srv/x.iso", "file", 0, "/srv/x.iso"}}) {
        const auto uri = parse_image_uri(one.text);
        ASSERT_TRUE(uri) << uri.fault().message;
        EXPECT_EQ(uri->scheme, one.scheme);
        EXPECT_EQ(uri->port, one.port) << one.text;
        EXPECT_EQ(uri->path, one.path);
    }
}

struct Bad {
    std::string_view text;
    const char* why;
};

class BadUri : public testing::TestWithParam<Bad> {};

TEST_P(BadUri, IsRefusedWithItsSentence) {
    const auto uri = parse_image_uri(GetParam().text);
    ASSERT_FALSE(uri);
    EXPECT_THAT(uri.fault().message, testing::HasSubstr(GetParam().why));
    EXPECT_EQ(uri.fault().kind, FaultKind::invalid_value);
    EXPECT_EQ(uri.fault().message.back(), '.');
}

using namespace std::string_view_literals;
INSTANTIATE_TEST_SUITE_P(
    Forms, BadUri,
    testing::Values(
        Bad{"", "no scheme"}, Bad{"/a.iso", "no scheme"}, Bad{"host:/a", "no scheme"},
        Bad{"://h/a", "supported ones are sshfs, sftp, https"},
        Bad{"tftp://h/a", "'tftp' is not supported; the supported ones are sshfs"},
        Bad{"file://h/a", "names no host"}, Bad{"smb://h/x.iso", "a share and a file"},
        Bad{"a'b://h/x", "is not supported"}, Bad{"sshfs://", "names no host"},
        Bad{"sshfs:///a.iso", "names no host"}, Bad{"sshfs://:/a.iso", "names no host"},
        Bad{"sshfs://u@:/a", "names no host"}, Bad{"sshfs://h", "path is missing"},
        Bad{"sshfs://h:", "path is missing"}, Bad{"sshfs://h:/", "path is missing"},
        Bad{"sshfs://h:/a/", "names a folder"}, Bad{"sshfs://h:/../a", "'..'"},
        Bad{"sshfs://h:/a/../b", "'..'"}, Bad{"sshfs://h:/a/..", "'..'"},
        Bad{"sshfs://@h/a", "no user"}, Bad{"sshfs://u:secret@h/a", "password property"},
        Bad{"sshfs://-u@h/a", "account name"},
        Bad{"sshfs://-oProxyCommand=x:/a", "must not start with '-'"},
        Bad{"sshfs://a b:/x", "host name"}, Bad{"sshfs://h$(x):/x", "host name"},
        Bad{"sshfs://h\xc3\xa4:/x", "host name"}, Bad{"sshfs://h:0:/a", "from 1 to 65535"},
        Bad{"sshfs://h:65536/a", "from 1 to 65535"}, Bad{"sshfs://h:-1/a", "from 1 to 65535"},
        Bad{"sshfs://h:22x/a", "from 1 to 65535"}, Bad{"sshfs://h:22:22:/a", "from 1 to 65535"},
        Bad{"sshfs://h::/a", "from 1 to 65535"}, Bad{"sshfs://[::1:/a", "no ']'"},
        Bad{"sshfs://[::1]x:/a", "only a port"}, Bad{"sshfs://[host]:/a", "IPv6"},
        Bad{"sshfs://[]:/a", "IPv6"}, Bad{"sshfs://[::1%]:/a", "IPv6"},
        Bad{"sshfs://[::1%a;b]:/a", "IPv6"}, Bad{"sshfs://h:/a\n"sv, "control characters"},
        Bad{"sshfs://h:/a\0b"sv, "control"}, Bad{"sshfs://h:/a\x7f"sv, "control"},
        Bad{"\tsshfs://h:/a", "control"}));

TEST(Uri, NeverRepeatsAPassword) {
    const auto uri = parse_image_uri("sshfs://user:hunter2@host/a");
    ASSERT_FALSE(uri);
    EXPECT_THAT(uri.fault().message, testing::Not(testing::HasSubstr("hunter2")));
}

TEST(Uri, LengthsAreBounded) {
    EXPECT_TRUE(parse_image_uri("sshfs://h:/" + std::string(4000, 'x')));
    EXPECT_FALSE(parse_image_uri("sshfs://h:/" + std::string(4096, 'x')));
    EXPECT_FALSE(parse_image_uri("sshfs://" + std::string(254, 'h') + ":/x"));
    EXPECT_FALSE(parse_image_uri("sshfs://" + std::string(256, 'u') + "@h:/x"));
}

TEST(Credentials, MembersMayBeMissing) {
    const auto all = parse_credentials(R"({"username":"u","password":"p\"","ssh_key":"k\n"})");
    ASSERT_TRUE(all);
    EXPECT_EQ(all->username, "u");
    EXPECT_EQ(all->password, "p\"");
    EXPECT_EQ(all->ssh_key, "k\n");
    const auto few = parse_credentials(R"({"password":null,"else":[1]})");
    ASSERT_TRUE(few);
    EXPECT_EQ(few->password, "");
}

TEST(Credentials, NonsenseIsRefusedWithoutRepeatingIt) {
    for (const char* text : {"", "{", "[]", "\"hunter2\"", R"({"password":["hunter2"]})",
                             R"({"password":"hunter2\u0000"})", R"({"password":"hunter2"}x)"}) {
        const auto credentials = parse_credentials(text);
        ASSERT_FALSE(credentials) << text;
        EXPECT_THAT(credentials.fault().message, testing::Not(testing::HasSubstr("hunter2")));
    }
}

} // namespace
} // namespace lom::media
