package app

import (
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"pasdetrois/pkg/messages"
	"pasdetrois/services/notifications/internal/domain"
)

// Metrics counts notifications and emails.
type Metrics struct {
	notifications *prometheus.CounterVec
	repetitions   *prometheus.CounterVec
	emails        *prometheus.CounterVec
	sendSeconds   *prometheus.HistogramVec
	endToEnd      prometheus.Histogram
	orderToEmail  *prometheus.HistogramVec // by kind
}

// The values of the label status of emails_total and of email_send_seconds.
const (
	emailSent    = "sent"
	emailFailed  = "failed"  // refused for good
	emailRetried = "retried" // to be tried again
	emailLimited = "limited" // not attempted yet: its address had its share
)

// NewMetrics makes the metrics and registers them with reg.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	auto := promauto.With(reg)
	counter := func(name, help, label string) *prometheus.CounterVec {
		return auto.NewCounterVec(prometheus.CounterOpts{Name: "pasdetrois_notifications_" + name, Help: help}, []string{label})
	}
	histogram := func(name, help string, buckets []float64) prometheus.HistogramOpts {
		return prometheus.HistogramOpts{Name: "pasdetrois_notifications_" + name, Help: help, Buckets: buckets}
	}
	long := prometheus.ExponentialBuckets(0.001, 2, 20)
	m := &Metrics{
		notifications: counter("notifications_total",
			"Notifications kept, by kind (none: the message named no kind; other: not one of the contract's).", "kind"),
		repetitions: counter("repetitions_total",
			"Requests for a notification that is kept already, by content (same, other). They have no effect.", "content"),
		emails: counter("emails_total",
			"Attempts to send an email, by status (sent, failed: refused for good, retried: to be tried again, limited: its address had its share).", "status"),
		sendSeconds: auto.NewHistogramVec(histogram("email_send_seconds",
			"Time of one attempt to send an email, by status.", prometheus.ExponentialBuckets(0.0001, 4, 10)), []string{"status"}),
		endToEnd: auto.NewHistogram(histogram("end_to_end_seconds",
			"Time from when a message asking for a notification was made until its email was sent.", long)),
		orderToEmail: auto.NewHistogramVec(histogram("order_to_email_seconds",
			"Time from the receipt of an order until the email about its outcome was sent, by kind.", long), []string{"kind"}),
	}
	// Outcomes that have not happened yet are 0, not unknown: an alert on their increase needs that.
	for _, status := range []string{emailSent, emailFailed, emailRetried, emailLimited} {
		m.emails.WithLabelValues(status)
	}
	for _, content := range []string{"same", "other"} {
		m.repetitions.WithLabelValues(content)
	}
	return m
}

func (m *Metrics) added(kind string) { m.notifications.WithLabelValues(kindLabel(kind)).Inc() }

func kindLabel(kind string) string {
	switch {
	case kind == "":
		return "none"
	case slices.Contains(messages.Kinds(), kind):
		return kind
	default:
		return "other" // a foreign producer must not create any number of label values
	}
}

func (m *Metrics) repeated(same bool) {
	content := "other"
	if same {
		content = "same"
	}
	m.repetitions.WithLabelValues(content).Inc()
}

func (m *Metrics) counted(status string) { m.emails.WithLabelValues(status).Inc() }

func (m *Metrics) attempted(status string, took time.Duration) {
	m.counted(status)
	m.sendSeconds.WithLabelValues(status).Observe(took.Seconds())
}

// sent observes the time from the request and the order to the email. A clock that runs ahead counts as 0.
func (m *Metrics) sent(n domain.Notification, sentAt time.Time) {
	m.endToEnd.Observe(max(0, sentAt.Sub(n.RequestedAt)).Seconds())
	if !n.OrderedAt.IsZero() {
		m.orderToEmail.WithLabelValues(kindLabel(n.Kind)).Observe(max(0, sentAt.Sub(n.OrderedAt)).Seconds())
	}
}
