// Who gets in: public keys with their proofs, and what stands against guessing.
#include "base/base64.h"
#include "sp/state/accounts.h"
#include "sp/state/sessions.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <cstdlib>
#include <memory>
#include <random>
#include <thread>

using namespace lom;
using namespace std::chrono_literals;

namespace {

std::string ssh_string(std::string_view text) {
    const auto size = static_cast<unsigned>(text.size());
    std::string out{static_cast<char>(size >> 24U), static_cast<char>(size >> 16U),
                    static_cast<char>(size >> 8U), static_cast<char>(size)};
    return out.append(text);
}

/// An ed25519 key pair, made anew.
struct KeyPair {
    KeyPair() : key(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"), EVP_PKEY_free) {
        std::string point(32, '\0');
        std::size_t size = point.size();
        EVP_PKEY_get_raw_public_key(key.get(), reinterpret_cast<unsigned char*>(point.data()),
                                    &size);
        blob = ssh_string("ssh-ed25519") + ssh_string(point);
    }

    std::string sign(const std::string& data) const {
        std::string signature(64, '\0');
        std::size_t size = signature.size();
        EVP_MD_CTX* context = EVP_MD_CTX_new();
        EVP_DigestSignInit(context, nullptr, nullptr, nullptr, key.get());
        EVP_DigestSign(context, reinterpret_cast<unsigned char*>(signature.data()), &size,
                       reinterpret_cast<const unsigned char*>(data.data()), data.size());
        EVP_MD_CTX_free(context);
        return signature;
    }

    std::string request(const std::string& user, const std::string& method = "publickey") const {
        return ssh_string(std::string(32, 's')) + "\x32" + ssh_string(user) +
               ssh_string("ssh-connection") + ssh_string(method) + "\x01" +
               ssh_string("ssh-ed25519") + ssh_string(blob);
    }

    KeyProof proof(const std::string& data) const { return {data, sign(data)}; }

    std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)> key;
    std::string blob;
};

struct Guard : testing::Test {
    Guard() {
        EXPECT_NE(nullptr, mkdtemp(folder.data()));
        database = std::move(*Database::open(folder + "/db"));
    }
    ~Guard() override {
        database.reset();
        (void)!system(("rm -rf " + folder).c_str());
    }

    std::string folder = "/tmp/lom-guard-XXXXXX";
    std::unique_ptr<Database> database;
};

} // namespace

TEST(Base64, gives_back_what_it_was_given) {
    for (const std::string text : {"", "a", "ab", "abc", "abcd", "\xff\xfe\x01"})
        EXPECT_EQ(text, from_base64(to_base64(text)));
    EXPECT_EQ("YWI=", to_base64("ab"));
    EXPECT_FALSE(from_base64("YWI"));
    EXPECT_FALSE(from_base64("YW!="));
}

TEST(SshKey, reads_a_line_of_a_pub_file) {
    const auto key = SshPublicKey::parse(
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHRKqDYhk+sUkmbJkXrYpCfZxAfYhmPkQ5mLGGYvHVY1 "
        "anna@work\x1b[2J\n");
    ASSERT_TRUE(key) << key.fault().message;
    EXPECT_EQ("ssh-ed25519", key->algorithm);
    EXPECT_EQ(256, key->bits);
    EXPECT_EQ("anna@work?[2J", key->comment);
    EXPECT_TRUE(key->fingerprint().starts_with("SHA256:"));
    EXPECT_FALSE(SshPublicKey::parse("ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIHRKqDYhk+sUkmbJkXrYpCfZx"
                                     "AfYhmPkQ5mLGGYvHVY1"));
    EXPECT_FALSE(SshPublicKey::parse("-----BEGIN OPENSSH PRIVATE KEY-----"));
    EXPECT_FALSE(SshPublicKey::parse(""));
}

TEST(SshKey, believes_only_a_signature_over_this_login) {
    const KeyPair pair;
    const KeyPair other;
    const auto key = *SshPublicKey::from_blob(pair.blob);
    EXPECT_TRUE(proves(pair.proof(pair.request("anna")), key, "anna"));
    EXPECT_FALSE(proves(pair.proof(pair.request("anna")), key, "root"));
    EXPECT_FALSE(proves(other.proof(pair.request("anna")), key, "anna"));
    EXPECT_FALSE(proves(other.proof(other.request("anna")), key, "anna"));
    EXPECT_FALSE(proves(pair.proof(pair.request("anna", "password")), key, "anna"));
    EXPECT_FALSE(proves(pair.proof(pair.request("anna") + "x"), key, "anna"));
    EXPECT_FALSE(proves({}, key, "anna"));
    const std::string whole = pair.request("anna");
    for (std::size_t cut = 0; cut < whole.size(); ++cut)
        EXPECT_FALSE(proves(pair.proof(whole.substr(0, cut)), key, "anna"));
}

TEST(SshKey, hostile_bytes_never_do_harm) {
    const KeyPair pair;
    const auto key = *SshPublicKey::from_blob(pair.blob);
    const std::string request = pair.request("anna");
    const KeyProof proof = pair.proof(request);
    std::mt19937 random(7);
    for (int round = 0; round < 5000; ++round) {
        std::string blob = pair.blob;
        KeyProof forged = proof;
        for (int i = 0; i < 3; ++i) {
            blob[random() % blob.size()] ^= static_cast<char>(1 + random() % 255);
            forged.signed_data[random() % request.size()] ^= static_cast<char>(1 + random() % 255);
        }
        (void)SshPublicKey::from_blob(blob.substr(0, random() % (blob.size() + 1)));
        (void)SshPublicKey::parse(blob);
        EXPECT_EQ(forged.signed_data == request, proves(forged, key, "anna"));
    }
}

TEST_F(Guard, locks_an_account_after_too_many_failures_but_not_its_owner) {
    LoginGuard guard(*database);
    ASSERT_TRUE(guard.succeeded("anna", "10.0.0.1"));
    for (int i = 1; i < 5; ++i)
        EXPECT_FALSE(guard.failed("anna", "10.9.9." + std::to_string(i)).locked_now);
    EXPECT_TRUE(guard.failed("anna", "10.9.9.9").locked_now);
    EXPECT_TRUE(guard.locked("anna"));
    EXPECT_TRUE(guard.locked("anna", "10.7.7.7"));
    EXPECT_FALSE(guard.locked("anna", "10.0.0.1"));
    EXPECT_TRUE(LoginGuard(*database).locked("anna")) << "a lock outlives lomd";
    ASSERT_TRUE(guard.unlock("anna"));
    EXPECT_FALSE(guard.locked("anna"));
    EXPECT_FALSE(guard.locked("anna", "10.7.7.7"));
}

TEST_F(Guard, a_known_source_has_a_count_of_its_own) {
    LoginGuard guard(*database);
    ASSERT_TRUE(guard.succeeded("anna", "10.0.0.1"));
    for (int i = 0; i < 5; ++i)
        guard.failed("anna", "10.0.0.1");
    EXPECT_TRUE(guard.locked("anna", "10.0.0.1"));
    EXPECT_FALSE(guard.locked("anna", "10.0.0.2"));
    ASSERT_TRUE(guard.state.set(Switch::disabled));
    EXPECT_FALSE(guard.locked("anna", "10.0.0.1"));
    ASSERT_TRUE(guard.lock("anna"));
    EXPECT_TRUE(guard.locked("anna", "10.0.0.1")) << "an administrator's lock holds all the same";
}

TEST_F(Guard, answers_later_and_later) {
    LoginGuard guard(*database);
    EXPECT_EQ(0ms, guard.wait("10.0.0.1"));
    EXPECT_EQ(1s, guard.failed("", "10.0.0.1").delay);
    EXPECT_EQ(2s, guard.failed("", "10.0.0.1").delay);
    EXPECT_GT(guard.wait("10.0.0.1"), 1s);
    EXPECT_EQ(0ms, guard.wait("10.0.0.2"));
    for (int i = 0; i < 9; ++i)
        EXPECT_LE(guard.failed("", "10.0.0.1").delay, 8s);
    ASSERT_TRUE(guard.succeeded("anna", "10.0.0.1"));
    EXPECT_EQ(0ms, guard.wait("10.0.0.1"));
}

TEST_F(Guard, ipv6_sources_count_by_their_network) {
    EXPECT_EQ(source_of("2001:db8:1:2:aaaa::1"), source_of("2001:db8:1:2:bbbb::2"));
    EXPECT_NE(source_of("2001:db8:1:2::1"), source_of("2001:db8:1:3::1"));
    EXPECT_EQ("10.1.2.3", source_of("::ffff:10.1.2.3"));
    EXPECT_EQ("10.1.2.3", source_of("10.1.2.3"));
}

TEST_F(Guard, keys_go_with_their_account) {
    Loop loop;
    Accounts accounts(loop, *database);
    const auto create = [&](const std::string& name, Roles roles) {
        bool made = false;
        accounts.create(name, roles, "correct horse", [&](const Result<void>&) { made = true; });
        loop.run_until([&] { return made; }, 10s);
    };
    create("root", Role::user);
    create("anna", Role::read_only);
    const KeyPair pair;
    const auto key = *SshPublicKey::from_blob(pair.blob);
    ASSERT_TRUE(accounts.keys().set("anna", 2, key));
    EXPECT_TRUE(accounts.would_accept("anna", key));
    EXPECT_FALSE(accounts.would_accept("ANNA", key)) << "names of accounts keep their case";
    EXPECT_FALSE(accounts.would_accept("root", key));
    for (int i = 0; i < 9; ++i) // an agent with many keys
        accounts.verify("anna", *SshPublicKey::from_blob(KeyPair().blob), {}, "10.0.0.1",
                        [](const Accounts::Verdict& verdict) { EXPECT_FALSE(verdict.guess); });
    EXPECT_EQ(0ms, accounts.guard().wait("10.0.0.1"));
    ASSERT_TRUE(accounts.guard().lock("anna"));
    bool in = false;
    accounts.verify("anna", key, pair.proof(pair.request("anna")), "10.0.0.1",
                    [&](const Accounts::Verdict& verdict) { in = verdict.account.has_value(); });
    EXPECT_TRUE(in) << "no lock keeps a key out";
    ASSERT_TRUE(accounts.remove("anna"));
    create("anna", Role::read_only);
    EXPECT_FALSE(accounts.would_accept("anna", key));
    EXPECT_FALSE(accounts.guard().locked("anna"));
}

TEST_F(Guard, idle_shells_end_and_nothing_else) {
    Loop loop;
    Sessions sessions(loop, *database, 5s);
    const auto quiet = sessions.begin("anna", "10.0.0.1", "shell").id;
    const auto busy = sessions.begin("anna", "10.0.0.1", "shell").id;
    const auto command = sessions.begin("anna", "10.0.0.1", "exec").id;
    std::this_thread::sleep_for(60ms); // the time that is measured
    sessions.touch(busy);
    sessions.end_idle(10s);
    EXPECT_EQ(3U, sessions.list().size());
    sessions.end_idle(50ms);
    EXPECT_FALSE(sessions.find(quiet));
    EXPECT_TRUE(sessions.find(busy));
    EXPECT_TRUE(sessions.find(command));
}
