"""Door 1, HTTP: tokens and clients are answered here, everything else is handed on."""

from fastapi import APIRouter

from gateway.router import clients, documents, oauth, proxy, tokens

routers: tuple[APIRouter, ...] = (
    oauth.router,
    clients.router,
    tokens.router,
    documents.router,
    proxy.router,  # last: it takes every address under /v1 that the others left
)

__all__ = ["routers"]
