"""The HTTP side: routes of the Kubernetes API that the operator uses, and Status objects for everything else."""

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from local_stack.pod_runner import query
from local_stack.pod_runner.auth import BearerToken
from local_stack.pod_runner.config import RunnerConfig
from local_stack.pod_runner.lifecycle import is_finished
from local_stack.pod_runner.logs import read_log
from local_stack.pod_runner.new_pod import first_events, new_pod
from local_stack.pod_runner.patch import patched
from local_stack.pod_runner.selectors import EVENT_FIELDS, POD_FIELDS
from local_stack.pod_runner.status import ApiError, Json, already_exists, bad_request, conflict, not_found
from local_stack.pod_runner.store import PodRecord, PodStore
from local_stack.pod_runner.supervisor import Supervisor
from local_stack.pod_runner.watch import TIMEOUT_S_DEFAULT, watch

VERSION = {
    "major": "1",
    "minor": "33",
    "gitVersion": "v1.33.0-local-pod-runner",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "none",
    "compiler": "none",
    "platform": "linux/local",
}


def create_app(config: RunnerConfig) -> Starlette:
    """Return the application; its lifespan takes up the stored pods and, at a regular end, stops all that run."""
    store = PodStore(config.state_dir)
    supervisor = Supervisor(store, config)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        store.load()
        supervisor.recover()
        yield
        await supervisor.shutdown()

    app = Starlette(
        routes=_routes(Api(config, store, supervisor)),
        middleware=[Middleware(BearerToken, token=config.token())],
        exception_handlers={ApiError: _api_error, HTTPException: _http_error, Exception: _server_error},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    return app


class Api:
    """The endpoints, over one store and one supervisor."""

    def __init__(self, config: RunnerConfig, store: PodStore, supervisor: Supervisor) -> None:
        self._config = config
        self._store = store
        self._supervisor = supervisor

    async def version(self, _request: Request) -> Response:
        """GET /version."""
        return JSONResponse(VERSION)

    async def list_pods(self, request: Request) -> Response:
        """GET pods: a list, or with watch=true a stream of changes."""
        return self._collection(request, "Pod", POD_FIELDS, lambda: (record.pod for record in self._store.records()))

    async def list_events(self, request: Request) -> Response:
        """GET events: a list, or with watch=true a stream of changes."""
        return self._collection(request, "Event", EVENT_FIELDS, self._store.events)

    async def create_pod(self, request: Request) -> Response:
        """POST pods."""
        self._check_namespace(request)
        query.refuse_dry_run(request.query_params)
        pod = new_pod(await query.json_body(request), self._config)
        if self._store.get(pod["metadata"]["name"]):
            raise already_exists(pod["metadata"]["name"])
        record = self._store.put(PodRecord(pod), *first_events(pod))
        self._supervisor.watch_over(record.name)
        return JSONResponse(record.pod, status_code=201)

    async def read_pod(self, request: Request) -> Response:
        """GET one pod, or its status."""
        return JSONResponse(self._record(request).pod)

    async def patch_pod(self, request: Request) -> Response:
        """PATCH labels and annotations."""
        query.refuse_dry_run(request.query_params)
        content_type = request.headers.get("content-type", "").partition(";")[0].strip()
        body = await query.json_body(request)
        record = self._record(request)
        return JSONResponse(self._store.put(replace(record, pod=patched(record.pod, content_type, body))).pod)

    async def delete_pod(self, request: Request) -> Response:
        """DELETE one pod."""
        query.refuse_dry_run(request.query_params)
        options = query.delete_options(request.query_params, await query.json_body(request))
        record = self._record(request)
        for field, wanted in options["preconditions"].items():
            if wanted is not None and record.pod["metadata"].get(field) != wanted:
                raise conflict(record.name, f"precondition failed: {field} is not {wanted!r}")
        grace_s = options["grace_s"]
        if grace_s is None:
            grace_s = record.pod["spec"]["terminationGracePeriodSeconds"]
        return JSONResponse(self._supervisor.delete(record, grace_s))

    async def read_pod_log(self, request: Request) -> Response:
        """GET the log of a pod's container."""
        record = self._record(request)
        container = record.pod["spec"]["containers"][0]["name"]
        wanted = request.query_params.get("container", container)
        if wanted != container:
            raise bad_request(f"container {wanted} is not valid for pod {record.name}")
        log_query = query.log_query(request.query_params)
        if record.pod["status"]["phase"] == "Pending":
            raise bad_request(f'container "{container}" in pod "{record.name}" is waiting to start: ContainerCreating')
        path = self._store.run_dir(record) / "log"
        return StreamingResponse(read_log(path, log_query, self._is_over(record)), media_type="text/plain")

    def _collection(
        self, request: Request, kind: str, fields: tuple[str, ...], items: Callable[[], Iterable[Json]]
    ) -> Response:
        self._check_namespace(request)
        params = request.query_params
        matches = query.selection(params, fields)
        if query.flag(params, "watch"):
            since = query.integer(params, "resourceVersion", 0) or 0
            timeout_s = query.integer(params, "timeoutSeconds", 0) or TIMEOUT_S_DEFAULT
            lines = watch(self._store.changes, kind, matches, items, since, timeout_s)
            return StreamingResponse(lines, media_type="application/json")
        metadata = {"resourceVersion": str(self._store.changes.version)}
        found = [item for item in items() if matches(item)]
        return JSONResponse({"kind": f"{kind}List", "apiVersion": "v1", "metadata": metadata, "items": found})

    def _is_over(self, record: PodRecord) -> Callable[[], bool]:
        def is_over() -> bool:
            current = self._store.get(record.name)
            return current is None or current.uid != record.uid or is_finished(current.pod)

        return is_over

    def _check_namespace(self, request: Request) -> None:
        if request.path_params["namespace"] != self._config.namespace:
            raise not_found("namespaces", request.path_params["namespace"])

    def _record(self, request: Request) -> PodRecord:
        self._check_namespace(request)
        record = self._store.get(request.path_params["name"])
        if record is None:
            raise not_found("pods", request.path_params["name"])
        return record


def _routes(api: Api) -> list[Route]:
    namespace = "/api/v1/namespaces/{namespace}"
    pod = f"{namespace}/pods/{{name}}"
    return [
        Route("/healthz", _healthz, methods=["GET"]),
        Route("/version", api.version, methods=["GET"]),
        Route("/version/", api.version, methods=["GET"]),  # as the Python client asks
        Route(f"{namespace}/pods", api.list_pods, methods=["GET"]),
        Route(f"{namespace}/pods", api.create_pod, methods=["POST"]),
        Route(f"{namespace}/events", api.list_events, methods=["GET"]),
        Route(pod, api.read_pod, methods=["GET"]),
        Route(pod, api.patch_pod, methods=["PATCH"]),
        Route(pod, api.delete_pod, methods=["DELETE"]),
        Route(f"{pod}/status", api.read_pod, methods=["GET"]),
        Route(f"{pod}/log", api.read_pod_log, methods=["GET"]),
    ]


async def _healthz(_request: Request) -> Response:
    return PlainTextResponse("ok")


async def _api_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return error.response()


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    messages = {
        404: ("NotFound", "the local pod runner could not find the requested resource"),
        405: ("MethodNotAllowed", f"the local pod runner does not implement {request.method} of this resource"),
    }
    reason, message = messages.get(error.status_code, (HTTPStatus(error.status_code).phrase, error.detail))
    return ApiError(error.status_code, reason, f"{message}: {request.url.path}").response(error.headers)


async def _server_error(_request: Request, error: Exception) -> Response:
    return ApiError(500, "InternalError", f"Internal error occurred: {error!r}").response()
