package lpsim

import (
	"encoding/json"
	"net/http"
)

// services are those whose hosts the domain API knows (Domain API).
var services = []string{
	"asyncMessagingEnt", "sentinel", "idp", "swift", "smt", "messagingRestApiDomain", "accountConfigReadWrite",
	"agentVep", "msgHist", "mtlsGateway", "acCdnDomain", "liveEngageUI", "visitorFeed",
}

type baseURI struct {
	Service string `json:"service"`
	Account string `json:"account"`
	BaseURI string `json:"baseURI"`
}

// domain answers the list form and the one-service form.
func (i *installation) domain(c *call) answer {
	rest := c.path[4:]
	if c.URL.Query().Get("version") != "1.0" {
		c.because("the query has no version=1.0", pageDomain)
		return plainError(http.StatusBadRequest)
	}
	if c.path[2] != i.Account {
		c.because("there is no such account", pageDomain)
		return plainError(http.StatusUnauthorized)
	}
	switch file := rest[len(rest)-1]; {
	case file != "baseURI.json" && file != "baseURI" || len(rest) > 2:
		return plainError(http.StatusNotFound)
	case len(rest) == 1:
		return domainList(i.baseURIs(c))
	}
	for _, service := range services {
		if service == rest[0] {
			return domainSingle(c.faults, baseURI{service, i.Account, orElse(i.Host, c.Host)})
		}
	}
	c.because("the account has no such service", undocumented)
	switch c.faults.DomainUnknownService {
	case "400":
		return plainError(http.StatusBadRequest)
	case "empty":
		return domainList([]baseURI{})
	}
	return plainError(http.StatusNotFound)
}

// baseURIs are the hosts of all services.
func (i *installation) baseURIs(c *call) []baseURI {
	list := make([]baseURI, 0, len(services))
	for _, service := range services {
		list = append(list, baseURI{service, i.Account, orElse(i.Host, c.Host)})
	}
	return list
}

func domainList(list []baseURI) answer {
	body, _ := json.Marshal(map[string]any{"baseURIs": list})
	return jsonAnswer(http.StatusOK, body)
}

func domainSingle(f *inForce, one baseURI) answer {
	if f.DomainSingleForm == "list" {
		return domainList([]baseURI{one})
	}
	body, _ := json.Marshal(one)
	return jsonAnswer(http.StatusOK, body)
}
