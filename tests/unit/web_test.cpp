// What lom-web does with text from strangers: addresses, queries, filters.
#include "web/http.h"
#include "web/json.h"
#include "web/redfish/headers.h"
#include "web/redfish/messages.h"
#include "web/redfish/query.h"
#include "web/redfish/resource.h"
#include "web/redfish/shared_reads.h"
#include "web/redfish/tasks.h"

#include <gtest/gtest.h>

namespace lom::web {
namespace {

json::object object(const char* text) { return json::parse(text).as_object(); }

bool matches(const std::string& filter, const json::object& resource) {
    const auto parsed = Filter::parse(filter);
    EXPECT_TRUE(parsed) << filter;
    return parsed && parsed->matches(resource);
}

TEST(Http, percent_signs_are_decoded_and_bad_ones_said) {
    bool fine = true;
    EXPECT_EQ("a b/c", percent_decoded("a%20b%2fc", false, fine));
    EXPECT_EQ("a+b", percent_decoded("a+b", false, fine));
    EXPECT_EQ("a b", percent_decoded("a+b", true, fine));
    EXPECT_TRUE(fine);
    for (const char* bad : {"%", "%2", "%zz", "x%00"}) {
        fine = true;
        (void)percent_decoded(bad, false, fine);
        EXPECT_FALSE(fine) << bad;
    }
}

TEST(Http, a_query_is_names_and_values) {
    bool fine = true;
    const auto query = parse_query("$top=2&only&x=a%3Db&&$filter=A%20eq+'b'", fine);
    EXPECT_TRUE(fine);
    EXPECT_EQ("2", query.at("$top"));
    EXPECT_EQ("", query.at("only"));
    EXPECT_EQ("a=b", query.at("x"));
    EXPECT_EQ("A eq 'b'", query.at("$filter"));
}

TEST(Http, base64_is_decoded_and_nonsense_said) {
    bool fine = true;
    EXPECT_EQ("root:pass:word", base64_decoded("cm9vdDpwYXNzOndvcmQ=", fine));
    EXPECT_TRUE(fine);
    (void)base64_decoded("cm9v dDp", fine);
    EXPECT_FALSE(fine);
}

TEST(Headers, accept_takes_a_type_a_family_or_all) {
    for (const char* fine : {"", " ", "*/*", "application/*", "Application/JSON",
                             "text/html, application/json ;q=0.1", "x,*/*;q=0.001"})
        EXPECT_TRUE(accepts(fine, "application/json")) << fine;
    for (const char* wrong : {"text/html", "application/json;q=0", "*/*;q=0.0", "text/*", ",", ";",
                              "application", "application/jsonx"})
        EXPECT_FALSE(accepts(wrong, "application/json")) << wrong;
}

/// Readings that end when the test says so.
struct Readings {
    SharedReads shared;
    std::vector<std::function<void(std::string)>> under_way; ///< "!" throws
    std::vector<std::string> answers;
    std::string key = "key";

    Task<Response> read() {
        auto wait = later<std::string>([this](std::function<void(std::string)> done) {
            under_way.push_back(std::move(done));
        });
        Response response;
        response.body = co_await wait;
        if (response.body == "!")
            throw std::runtime_error("on purpose");
        co_return response;
    }
    void ask() {
        SharedReads::Read reading = [this] { return read(); };
        detach<Response>(shared.answer(key, std::move(reading)), [this](Response response) {
            const std::string& body = response.shared_body ? *response.shared_body : response.body;
            answers.push_back(response.status == 200 ? body : std::to_string(response.status));
        });
    }
    void end(std::size_t number, std::string text) {
        const auto done = under_way.at(number);
        done(std::move(text));
    }
};

using Texts = std::vector<std::string>;

TEST(SharedReads, who_comes_during_a_reading_shares_the_next_one) {
    Readings readings;
    readings.ask();
    readings.ask();
    readings.ask();
    EXPECT_EQ(1U, readings.under_way.size());
    readings.end(0, "first");
    EXPECT_EQ(Texts{"first"}, readings.answers) << "read before the others had asked";
    EXPECT_EQ(2U, readings.under_way.size());
    readings.ask(); // while the second is under way
    readings.end(1, "second");
    EXPECT_EQ((Texts{"first", "second", "second"}), readings.answers);
    readings.end(2, "third");
    EXPECT_EQ((Texts{"first", "second", "second", "third"}), readings.answers);
    readings.ask();
    EXPECT_EQ(4U, readings.under_way.size()) << "nothing is kept";
    readings.end(3, "fourth");
}

TEST(SharedReads, other_things_are_read_beside_it) {
    Readings readings;
    readings.ask();
    readings.key = "other";
    readings.ask();
    ASSERT_EQ(2U, readings.under_way.size());
    readings.end(1, "other");
    readings.end(0, "first");
    EXPECT_EQ((Texts{"other", "first"}), readings.answers);
}

TEST(SharedReads, a_reading_that_fails_is_nobody_elses_and_leaves_nobody_waiting) {
    Readings readings;
    readings.ask();
    readings.ask();
    readings.ask();
    readings.end(0, "!");
    readings.end(1, "!");
    EXPECT_EQ((Texts{"500", "500"}), readings.answers);
    ASSERT_EQ(3U, readings.under_way.size()) << "the third reads for itself";
    readings.end(2, "mine");
    EXPECT_EQ("mine", readings.answers.back());
    readings.ask();
    readings.end(3, "fine");
    EXPECT_EQ("fine", readings.answers.back());
}

TEST(Filter, compares_texts_numbers_and_what_is_inside) {
    const auto resource =
        object(R"({"Name":"it's","Size":5,"On":true,"Status":{"Health":"OK"},"None":null})");
    EXPECT_TRUE(matches("Name eq 'it''s'", resource));
    EXPECT_TRUE(matches("Size gt 4 and Size le 5", resource));
    EXPECT_TRUE(matches("Size lt 4 or Status/Health eq 'OK'", resource));
    EXPECT_FALSE(matches("not (Status/Health eq 'OK')", resource));
    EXPECT_TRUE(matches("On eq true", resource));
    EXPECT_TRUE(matches("None eq null and Missing eq null", resource));
    // and binds tighter than or
    EXPECT_TRUE(matches("Size eq 5 or Size eq 1 and Name eq 'x'", resource));
}

TEST(Filter, refuses_what_it_does_not_understand) {
    for (const std::string text : {"", "a", "a eq", "a eq 'b", "a like 'b'", "(a eq 1", "a eq 1)",
                                   "a eq 1 b eq 2", "a eq {}", "not", "a eq 1 and"})
        EXPECT_FALSE(Filter::parse(text)) << text;
    EXPECT_FALSE(Filter::parse(std::string(500, '(') + "a eq 1"));
    EXPECT_FALSE(Filter::parse("a eq '" + std::string(5000, 'x') + "'"));
}

TEST(Query, options_are_read_and_wrong_ones_named) {
    const auto query =
        parse_query_options({{"$top", "3"}, {"$expand", "*($levels=6)"}, {"other", "1"}});
    ASSERT_TRUE(query);
    EXPECT_EQ(3U, query->top);
    EXPECT_TRUE(query->expand->links && query->expand->members);
    EXPECT_EQ(2, query->expand->levels); // as advertised, no deeper
    EXPECT_EQ("$top=-1", parse_query_options({{"$top", "-1"}}).fault().message);
    EXPECT_FALSE(parse_query_options({{"$expand", ".($levels=0)"}}));
    EXPECT_EQ(FaultKind::not_found, parse_query_options({{"$orderby", "x"}}).fault().kind);
}

TEST(Resource, a_pattern_matches_whole_addresses) {
    const Resource resource("/redfish/v1/A/{}/B/{}", "T.v1_0_0.T");
    std::vector<std::string> ids;
    EXPECT_TRUE(resource.match("/redfish/v1/A/one/B/two", ids));
    EXPECT_EQ((std::vector<std::string>{"one", "two"}), ids);
    EXPECT_FALSE(resource.match("/redfish/v1/A/one/B/two/C", ids));
    EXPECT_FALSE(resource.match("/redfish/v1/A//B/two", ids));
    EXPECT_FALSE(resource.match("/redfish/v1/A/one/B/", ids));
    EXPECT_EQ("/x/one/two", filled_in("/x/{0}/{1}", {"one", "two"}));
}

TEST(Messages, arguments_stand_where_the_registry_has_them) {
    const auto message = message_json({"PropertyValueNotInList", {"Sun", "Boot"}, "#/Boot"});
    EXPECT_EQ("The value 'Sun' for the property Boot is not in the list of acceptable values.",
              message.at("Message").as_string());
    EXPECT_EQ("Base.1.22.PropertyValueNotInList", message.at("MessageId").as_string());
    EXPECT_EQ(400, error_response(400, Message{"NoOperation", {}}).status);
    EXPECT_EQ(503, fault_response({FaultKind::unavailable, "Later."}).status);
}

TEST(Body, deep_and_broken_json_is_refused) {
    EXPECT_TRUE(parse_body(R"({"a":[1,{"b":null}]})"));
    for (const std::string text : {"", "[]", "{", "1", "{\"a\":}", "{} {}"})
        EXPECT_FALSE(parse_body(text)) << text;
    EXPECT_FALSE(parse_body("{\"a\":" + std::string(100, '[') + std::string(100, ']') + "}"));
}

TEST(Tasks, TheMonitorTellsTheEndAsTheRequestWouldHave) {
    lom::web::Tasks tasks;
    const std::string id = tasks.begin("Insert", "root", "now");
    const std::string uri = "/redfish/v1/TaskService/Tasks/" + id + "/Monitor";
    ASSERT_NE(tasks.monitored(uri), nullptr);
    EXPECT_EQ(lom::web::monitor_response(*tasks.monitored(uri)).status, 202);
    tasks.end(id, lom::Fault{lom::FaultKind::invalid_value, "no such file"}, "no such file", "now");
    EXPECT_EQ(lom::web::monitor_response(*tasks.monitored(uri)).status, 400);
    EXPECT_EQ(tasks.monitored("/redfish/v1/TaskService/Tasks/" + id), nullptr);
    EXPECT_EQ(tasks.monitored("/redfish/v1/TaskService/Tasks/Monitor"), nullptr);
    EXPECT_EQ(tasks.monitored("/redfish/v1/TaskService/Tasks//Monitor"), nullptr);
    EXPECT_EQ(tasks.monitored("/redfish/v1/TaskService/Tasks/1x/Monitor"), nullptr);
}

} // namespace
} // namespace lom::web
