//! Traces to an OpenTelemetry collector, over OTLP/HTTP: in a build with the feature `otel`.

#[cfg(feature = "otel")]
pub(super) use sent::{Traces, start};
#[cfg(not(feature = "otel"))]
pub(super) use unsent::{Traces, start};

#[cfg(feature = "otel")]
mod sent {
    use std::time::Duration;

    use opentelemetry::KeyValue;
    use opentelemetry::trace::TracerProvider as _;
    use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _};
    use opentelemetry_sdk::Resource;
    use opentelemetry_sdk::resource::EnvResourceDetector;
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use tracing::Subscriber;
    use tracing_subscriber::Layer;
    use tracing_subscriber::filter::Targets;
    use tracing_subscriber::registry::LookupSpan;
    use url::Url;

    use crate::app::StartError;
    use crate::trace;

    /// How long the end of the program waits for its last spans to be taken.
    const LAST_SPANS: Duration = Duration::from_secs(2);

    /// Sends spans as long as it is there; dropping it sends those that wait.
    pub struct Traces(SdkTracerProvider);

    impl Traces {
        /// What collects the spans.
        pub fn layer<S>(&self) -> impl Layer<S>
        where
            S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
        {
            tracing_opentelemetry::layer()
                .with_tracer(self.0.tracer("doorward"))
                // Lines of the code, threads and idle times are for those who write the program.
                .with_location(false)
                .with_threads(false)
                .with_tracked_inactivity(false)
                .with_target(false)
                .with_filter(Targets::new().with_target(trace::TARGET, trace::LEVEL))
        }
    }

    impl Drop for Traces {
        fn drop(&mut self) {
            // A collector that takes nothing keeps nobody from ending.
            let _ = self.0.shutdown_with_timeout(LAST_SPANS);
        }
    }

    /// Starts sending spans to the collector at `endpoint`. What is sampled, in which batches it goes,
    /// and with which headers, stands in the variables that OpenTelemetry reads (`OTEL_…`).
    pub fn start(endpoint: &Url) -> Result<Traces, StartError> {
        let base = endpoint.as_str().trim_end_matches('/');
        let exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("{base}/v1/traces"))
            .build()?;
        let named = Resource::builder_empty()
            .with_attributes([
                KeyValue::new("service.name", "doorward"),
                KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            ])
            // What the operator says there is right.
            .with_detector(Box::new(EnvResourceDetector::new()));
        let named = match std::env::var("OTEL_SERVICE_NAME") {
            Ok(name) if !name.is_empty() => named.with_service_name(name),
            _ => named,
        };
        let provider = SdkTracerProvider::builder();
        Ok(Traces(provider.with_batch_exporter(exporter).with_resource(named.build()).build()))
    }
}

#[cfg(not(feature = "otel"))]
mod unsent {
    use tracing::Subscriber;
    use tracing_subscriber::Layer;
    use tracing_subscriber::layer::Identity;
    use url::Url;

    use crate::app::StartError;

    /// There are none.
    pub enum Traces {}

    impl Traces {
        /// What collects nothing.
        pub fn layer<S: Subscriber>(&self) -> impl Layer<S> {
            Identity::new()
        }
    }

    /// The configuration has refused this already.
    pub fn start(_: &Url) -> Result<Traces, StartError> {
        Err("this build sends no traces".into())
    }
}
