package lpsim

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// admins are the administrators who are logged in (Login Service API), known by their bearers.
type admins struct {
	*installation

	mu    sync.Mutex
	until map[string]time.Time
}

// maxSessions bounds what a client that logs in before every call leaves behind.
const maxSessions = 10_000

// login takes the configured administrator with any password. The page's default version is taken when none is named.
func (a *admins) login(c *call) answer {
	var body struct{ Username, Password string }
	switch version := c.URL.Query().Get("v"); {
	case version != "" && version != "1.3":
		c.because("the query's v is not 1.3", pageLogin)
		return plainError(http.StatusBadRequest)
	case !isJSON(c) || json.Unmarshal(c.body, &body) != nil || body.Username == "" || body.Password == "":
		c.because("Content-Type application/json, username or password is missing", pageLogin)
		return plainError(http.StatusBadRequest)
	case c.path[2] != a.Account:
		c.because("there is no such account", pageLogin)
		return plainError(http.StatusUnauthorized)
	case body.Username != a.Admin:
		c.because("the account has no such user; its administrator is "+a.Admin+", with any password", pageLogin)
		return plainError(http.StatusUnauthorized)
	}
	reply := a.welcome(c, a.admit(time.Duration(c.faults.AdminSessionSeconds)*time.Second))
	reply.header = map[string]string{"Set-Cookie": "Session_id=" + rand.Text() + "; Path=/; Secure; HttpOnly"}
	return reply
}

// admit begins a session and gives its bearer.
func (a *admins) admit(life time.Duration) string {
	bearer := strings.ToLower(rand.Text() + rand.Text())
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.until == nil || len(a.until) >= maxSessions {
		a.until = map[string]time.Time{}
	}
	a.until[bearer] = a.Now().Add(life)
	return bearer
}

// welcome is the answer of the login, of the shape the page's example has.
func (a *admins) welcome(c *call, bearer string) answer {
	body, _ := json.Marshal(object{
		"csrf": rand.Text(), "wsuk": rand.Text(), "bearer": bearer,
		"sessionTTl": strconv.Itoa(c.faults.AdminSessionSeconds * 1000),
		"config": object{
			"loginName": a.Admin, "userId": "3705342610", "userPrivileges": []int{}, "serverCurrentTime": a.Now().UnixMilli(),
			"timeDiff": 0, "serverTimeZoneName": "UTC", "serverTimeGMTDiff": 0, "isLPA": false, "isAdmin": true, "accountTimeZoneId": "UTC",
		},
		"csdsCollectionResponse": object{"baseURIs": a.baseURIs(c)},
		"accountData":            object{"agentGroupsData": object{"items": []any{}, "revision": 1}},
	})
	return jsonAnswer(http.StatusOK, body)
}

// authorized tells whether a call carries the bearer of a session that lasts. Unlike AppJWTs these go with Bearer.
func (a *admins) authorized(c *call) bool {
	bearer, prefixed := strings.CutPrefix(c.Header.Get("Authorization"), "Bearer ")
	a.mu.Lock()
	until, known := a.until[bearer]
	a.mu.Unlock()
	switch {
	case !prefixed || !known:
		c.because("Authorization is not Bearer and the bearer of a login", pageLoggedIn)
	case !a.Now().Before(until):
		c.because("the administrator's session has ended; see adminSessionSeconds", pageLoggedIn)
	case !a.here(c):
		c.because("there is no such account", pageLoggedIn)
	default:
		return true
	}
	return false
}

// here tells whether a path names this account, whatever is before it.
func (a *admins) here(c *call) bool { return strings.Contains(c.URL.Path, "/account/"+a.Account+"/") }

// features are the account's features. A connector's front asks whether the account has messaging.
func (a *admins) features(c *call) answer {
	if !a.authorized(c) {
		return plainError(http.StatusUnauthorized)
	}
	granted := []object{{"compoundFeatureID": "Common.Async_Messaging", "isDeleted": false, "value": object{"value": true}}}
	accounts := object{"accountList": []object{{"accountId": a.Account, "itemsCollection": object{"data": granted}}}}
	body, _ := json.Marshal(object{"appDataList": []object{{"accountList": accounts}}})
	return jsonAnswer(http.StatusOK, body)
}
